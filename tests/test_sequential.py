"""Sequential: shapes, names, arena, gradients, state dicts, copies, errors that name the layer."""

import copy
import pickle

import numpy as np
import pytest

import fastcnn as fc


def small_model(**settings):
    return fc.Sequential(
        fc.Conv2d(1, 4, 3, padding=1), fc.ReLU(), fc.MaxPool2d(2), fc.Dropout(0.3),
        fc.Conv2d(4, 3, 3), fc.ReLU(), fc.Flatten(), fc.Linear(3 * 2 * 2, 5),
        **settings,
    )  # fmt: skip


def images(count=3, dtype="float32"):
    return np.random.default_rng(0).standard_normal((count, 1, 8, 8)).astype(dtype)


class Scale(fc.Layer):
    """A custom layer as a user writes it: it knows nothing of Training or of skipped gradients."""

    def __init__(self, features):
        self.factor = fc.Parameter((features,))
        self.factor.data = np.arange(features)

    def forward(self, x, training):
        def backward(dy):
            self.factor.grad = (dy * x).sum(axis=0)
            return dy * self.factor.data

        return x * self.factor.data, backward


class Block(fc.Layer):
    """A custom layer made of layers, which passes `training` on as it is."""

    def __init__(self, features):
        self.first = fc.Linear(features, 6)
        self.others = [fc.Sequential(fc.ReLU(), Scale(6)), {"last": (fc.Linear(6, 2),)}]
        self.again = self.first

    def output_shape(self, input_shape):
        return input_shape[0], 2

    def forward(self, x, training):
        backwards = []
        for layer in (self.first, self.others[0], self.others[1]["last"][0]):
            x, backward = layer.forward(x, training)
            backwards.insert(0, backward)

        def backward_all(dy):
            for backward in backwards:
                dy = backward(dy)
            return dy

        return x, backward_all


def trained(model, steps=2):
    optimizer = fc.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, images(), np.array([0, 1, 0]))
    return model.arena.data.copy()


def test_gradients_of_a_whole_chain_match_central_differences():
    model = small_model(dtype="float64")
    assert fc.gradcheck(model, (2, 1, 8, 8), training=fc.Training(seed=3, step=1))


def test_layers_are_named_by_kind_and_number():
    names = [layer.name for layer in small_model().layers]
    assert names == ["conv1", "relu1", "pool1", "dropout1", "conv2", "relu2", "flatten1", "linear1"]


def test_given_names_stay_and_free_numbers_are_used():
    model = fc.Sequential(fc.ReLU(name="relu1"), fc.ReLU(), fc.ReLU(name="last"))
    assert [layer.name for layer in model.layers] == ["relu1", "relu2", "last"]


def test_a_list_of_layers_does_as_well():
    assert len(fc.Sequential([fc.ReLU(), fc.Flatten()]).layers) == 2


def test_parameters_come_in_forward_order_under_their_full_names():
    assert [parameter.name for parameter in small_model().parameters()] == [
        "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "linear1.weight", "linear1.bias"
    ]  # fmt: skip


def test_all_parameters_and_gradients_are_views_into_two_flat_arrays():
    model = small_model()
    parameters = model.parameters()
    for which in ("data", "grad"):
        flat = np.concatenate([getattr(parameter, which).ravel() for parameter in parameters])
        assert all(np.shares_memory(getattr(p, which), getattr(model.arena, which)) for p in parameters)
        np.testing.assert_array_equal(getattr(model.arena, which), flat)


def test_the_seed_decides_the_weights():
    one, same, other = (small_model(seed=seed).state_dict() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one["conv1.weight"], same["conv1.weight"])
    assert (one["conv1.weight"] != other["conv1.weight"]).all()


def test_both_dtypes_start_from_the_same_weights():
    single, double = (small_model(dtype=dtype).state_dict() for dtype in ("float32", "float64"))
    for name, values in double.items():
        np.testing.assert_array_equal(values.astype(np.float32), single[name])


def test_evaluation_leaves_dropout_out_and_takes_any_batch_size():
    model = small_model()
    x = images(7)
    np.testing.assert_array_equal(model(x), model.forward(x)[0])
    np.testing.assert_allclose(model(x[:1]), model(x)[:1], rtol=1e-5)
    assert model(x[:0]).shape == (0, 5)


def test_two_forwards_before_a_backward_do_not_disturb_each_other():
    model = small_model(dtype="float64")
    x, other = images(3, "float64"), 2 * images(5, "float64")
    dy = np.ones((3, 5))
    step = fc.Training(seed=1)
    expected = model.forward(x, step)[1](dy)
    _, backward = model.forward(x, step)
    model.forward(other, fc.Training(seed=2))
    np.testing.assert_array_equal(backward(dy), expected)


def test_skipping_the_input_gradient_changes_no_other_gradient():
    model = fc.Sequential(fc.Flatten(), Scale(64), fc.Linear(64, 3), fc.ReLU(), fc.Linear(3, 2))
    x, dy = images(), np.ones((3, 2), np.float32)
    gradients = []
    for wanted in (True, False):
        dx = model.forward(x, fc.Training(input_gradient=wanted))[1](dy)
        assert (dx is not None) == wanted
        gradients.append(model.arena.grad.copy())
    np.testing.assert_array_equal(*gradients)


def test_only_layers_behind_the_first_parameters_compute_an_input_gradient():
    asked = []

    class Asked(fc.Linear):
        def forward(self, x, training=None):
            asked.append(training.input_gradient)
            return super().forward(x, training)

    model = fc.Sequential(fc.Flatten(), fc.Sequential(fc.ReLU(), Asked(64, 64), Asked(64, 2)))
    model.forward(images(), fc.Training(input_gradient=False))[1](np.ones((3, 2), np.float32))
    assert asked == [False, True]


def test_a_custom_layer_trains_between_the_others():
    model = fc.Sequential(fc.Flatten(), fc.Linear(64, 6), Scale(6), fc.Linear(6, 2), dtype="float64")
    assert [layer.name for layer in model.layers] == ["flatten1", "linear1", "scale1", "linear2"]
    assert fc.gradcheck(model, (2, 1, 8, 8), training=fc.Training())


def test_a_chain_inside_a_chain_shares_its_arena_names_dtype_and_seed():
    inner = fc.Sequential(fc.Linear(4, 4), fc.ReLU(), seed=9)
    model = fc.Sequential(inner, fc.Linear(4, 2), dtype="float64", seed=1)
    flat = fc.Sequential(fc.Linear(4, 4), fc.ReLU(), fc.Linear(4, 2), dtype="float64", seed=1)
    assert next(iter(model.state_dict())) == "sequential1.linear1.weight"
    np.testing.assert_array_equal(model.arena.data, flat.arena.data)
    x = np.ones((3, 4))
    np.testing.assert_array_equal(model(x), flat(x))
    assert fc.gradcheck(model, (2, 4))


def test_weights_set_before_a_layer_joined_stay():
    layer = fc.Linear(2, 2)
    layer.weight.data = [[1, 2], [3, 4]]
    model = fc.Sequential(layer, fc.Linear(2, 1), dtype="float64")
    np.testing.assert_array_equal(model.state_dict()["linear1.weight"], [[1, 2], [3, 4]])


def test_dropout_layers_of_one_model_have_masks_of_their_own():
    seen = []

    class Keep(fc.Layer):
        def forward(self, x, training):
            seen.append(x)
            return np.ones_like(x), lambda dy: dy

    model = fc.Sequential(fc.Dropout(), Keep(), fc.Dropout(), Keep())
    model.forward(np.ones((10, 100), np.float32), True)
    assert abs((seen[0] == seen[1]).mean() - 0.5) < 0.1


def test_a_state_dict_round_trip_restores_every_weight():
    model, other = small_model(seed=1), small_model(seed=2)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.arena.data, model.arena.data)


def test_a_state_dict_is_a_copy():
    model = small_model()
    model.state_dict()["conv1.weight"][...] = 0
    assert model.layers[0].weight.data.all()


def test_a_state_dict_that_does_not_fit_changes_nothing_and_lists_every_problem():
    model = small_model(seed=1)
    before = model.state_dict()
    state = small_model(seed=2).state_dict()
    del state["conv1.bias"]
    state["conv9.bias"] = np.zeros(3)
    state["linear1.weight"] = state["linear1.weight"].T
    with pytest.raises(fc.ShapeError) as error:
        model.load_state_dict(state)
    for problem in (
        "conv1.bias is missing",
        "conv9.bias is unknown",
        "linear1.weight has shape (12, 5) instead of (5, 12)",
    ):
        assert problem in str(error.value)
    for name, values in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wrong", ["nan", "inf", "-inf"])
def test_a_state_dict_with_what_is_no_finite_number_of_the_dtype_changes_nothing(dtype, wrong):
    model = small_model(seed=1, dtype=dtype)
    before = model.state_dict()
    state = small_model(seed=2, dtype=dtype).state_dict()
    state["linear1.bias"][3] = float(wrong)
    with pytest.raises(fc.DataError, match=f"linear1.bias must hold finite numbers of {dtype}, got {wrong}; use"):
        model.load_state_dict(state)
    for name, values in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], values)


def test_a_state_dict_in_double_precision_beyond_single_is_refused_and_its_largest_taken():
    model = small_model()
    state = {name: values.astype(np.float64) for name, values in model.state_dict().items()}
    state["conv1.bias"][0] = 1e300
    with pytest.raises(fc.DataError, match=r"conv1.bias must hold finite numbers of float32, got 1e\+300"):
        model.load_state_dict(state)
    state["conv1.bias"][0] = np.finfo(np.float32).max
    model.load_state_dict(state)
    assert model.layers[0].bias.data[0] == np.finfo(np.float32).max


def test_without_seeds_two_models_are_twins_and_with_two_they_are_not():
    assert (small_model().arena.data == small_model().arena.data).all()
    assert (small_model(seed=0).arena.data != small_model(seed=1).arena.data).any()


def test_the_summary_shows_shapes_parameters_and_work():
    lines = fc.models.gorgonia(dropout=False).summary().splitlines()
    conv2 = next(line for line in lines if line.startswith("conv2"))
    assert conv2.split()[1:9] == ["Conv2d", "(N,", "64,", "14,", "14)", "18,432", "7.225", conv2.split()[8]]
    assert lines[-1].split()[:3] == ["total", "float32", "818,698"]


def test_the_summary_takes_the_shape_of_the_last_input():
    model = fc.Sequential(fc.Sequential(fc.Conv2d(1, 2, 3)), fc.ReLU())
    with pytest.raises(fc.ConfigError, match="pass input_shape"):
        model.summary()
    model(images())
    assert "sequential1.conv1" in model.summary()
    assert "(N, 2, 6, 6)" in model.summary()


def test_shapes_are_checked_when_the_model_is_made_if_the_input_shape_is_known():
    with pytest.raises(fc.ShapeError, match="Linear 'linear1': expected input"):
        fc.Sequential(fc.Conv2d(1, 2, 3), fc.Flatten(), fc.Linear(7, 3), input_shape=(1, 8, 8))


def test_without_input_shape_the_first_call_checks_and_names_the_layer():
    model = fc.Sequential(fc.Conv2d(1, 2, 3), fc.Conv2d(3, 4, 3))
    for run in (model, model.forward):
        with pytest.raises(fc.ShapeError) as error:
            run(images(3))
        assert str(error.value) == "Conv2d 'conv2': expected input (N, 3, H, W), got (3, 2, 6, 6) (from 'conv1')"


def test_an_input_of_another_shape_than_promised_is_refused():
    model = small_model(input_shape=(1, 8, 8), name="small")
    with pytest.raises(fc.ShapeError, match=r"Sequential 'small': expected input \(N, 1, 8, 8\), got \(3, 1, 9, 9\)"):
        model(np.zeros((3, 1, 9, 9), np.float32))


def test_an_input_of_another_dtype_is_refused_with_the_remedy():
    with pytest.raises(fc.DTypeError, match="expected float32 input, got uint8; scale the pixels, as by"):
        small_model()(np.zeros((3, 1, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("layers", "settings", "message"),
    [
        ([], {}, "at least one layer"),
        ([fc.ReLU(), np.tanh], {}, "layer 2 is .* no fastcnn layer"),
        ([fc.ReLU()] * 2, {}, "layer 2 is in the chain already"),
        ([fc.ReLU(name="a"), fc.ReLU(name="a")], {}, "two layers are called 'a'"),
        ([fc.ReLU()], {"seed": -1}, "seed must be a whole number >= 0"),
        ([fc.ReLU()], {"seed": 2**64}, "seed must be a whole number"),
        ([fc.ReLU()], {"input_shape": (0, 3)}, "each size of input_shape must be"),
        ([fc.ReLU()], {"input_shape": 3}, r"input_shape must be sizes such as \(1, 28, 28\), got 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_models_are_refused(layers, settings, message):
    with pytest.raises(fc.ConfigError, match=message):
        fc.Sequential(*layers, **settings)


@pytest.mark.parametrize("dtype", ["int32", "float16", ">f4", "nonsense"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(fc.DTypeError, match="dtype must be float32 or float64"):
        fc.Sequential(fc.ReLU(), dtype=dtype)


def test_layers_in_the_lists_of_a_custom_layer_belong_to_the_model():
    model = fc.Sequential(fc.Flatten(), Block(64), dtype="float64")
    assert [parameter.name for parameter in model.parameters()] == [
        "block1.first.weight", "block1.first.bias",
        "block1.others.0.scale1.factor",
        "block1.others.1.last.0.weight", "block1.others.1.last.0.bias",
    ]  # fmt: skip
    assert fc.gradcheck(model, (2, 1, 8, 8), training=fc.Training())


def test_a_custom_layer_in_front_may_pass_training_on_as_it_is():
    model, nested = (fc.Sequential(fc.Flatten(), *layers) for layers in ([Block(64)], [fc.Sequential(Block(64))]))
    assert np.isfinite(trained(model)).all()
    np.testing.assert_array_equal(trained(nested), model.arena.data)


@pytest.mark.parametrize("looked_at", [True, False])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_is_equal_and_trains_alone(copied, looked_at):
    model = small_model(seed=3)
    if looked_at:
        trained(model)
    other = copied(model)
    np.testing.assert_array_equal(other(images()), model(images()))
    before = model.arena.data.copy()
    after = trained(other)
    np.testing.assert_array_equal(model.arena.data, before)
    np.testing.assert_array_equal(np.concatenate([p.data.ravel() for p in other.parameters()]), after)
    np.testing.assert_array_equal(trained(model), after)
    assert (before != after).any()


def test_a_model_and_its_optimizer_copied_together_stay_together():
    model = small_model()
    other, optimizer = copy.deepcopy((model, fc.RMSprop(model.parameters())))
    before = other.arena.data.copy()
    fc.train_step(other, fc.CrossEntropyLoss(), optimizer, images(), np.array([0, 1, 0]))
    assert (other.arena.data != before).any()


def test_a_model_whose_layers_moved_on_has_no_arena():
    shared = fc.Linear(4, 4)
    first = fc.Sequential(shared, fc.Linear(4, 2))
    fc.Sequential(shared)
    with pytest.raises(fc.ConfigError, match="its layers are part of another model"):
        _ = first.arena


def test_lists_do_as_inputs_if_their_dtype_does():
    assert fc.Sequential(fc.Linear(2, 3), dtype="float64")([[1.0, 2.0]]).shape == (1, 3)
    with pytest.raises(fc.DTypeError, match="got float64"):
        fc.Sequential(fc.Linear(2, 3))([[1.0, 2.0]])
    np.testing.assert_array_equal(fc.ReLU()([[-1.0, 2.0]]), [[0, 2]])


def test_weights_shared_by_two_layers_are_refused():
    layer = fc.Linear(2, 2)
    with pytest.raises(fc.ConfigError, match="weight is used twice in one model"):
        fc.Sequential(fc.Sequential(layer), fc.Sequential(layer))
