"""Trainer: what it computes an epoch from, whom it tells, what it refuses."""

import threading

import numpy as np
import pytest
from tiny_training import Diary, Does, tiny_arrays, tiny_trainer, untimed

import fastcnn as fc
from fastcnn.data.samples import ArraySamples, ImageSamples
from fastcnn.losses import Loss
from fastcnn.trainer import Callback, Trainer, evaluate
from fastcnn.training import NonFiniteError

# ---- what an epoch is ------------------------------------------------------------------------------------------------


def test_it_learns():
    history = tiny_trainer().fit(*tiny_arrays(400), epochs=5, validation=tiny_arrays(100, seed=1))
    assert history[-1].test_accuracy > 0.95 and history[-1].train_accuracy > 0.95
    assert history[-1].cost < history[0].cost and history[-1].test_cost < history[0].test_cost


@pytest.mark.parametrize("reduction", ["mean", "mean_elements", "sum"])
def test_an_epoch_is_these_train_steps(reduction):
    x, y = tiny_arrays(25)
    model, twin = (fc.Sequential(fc.Linear(16, 10), dtype="float64", seed=7) for _ in range(2))
    loss, optimizer = fc.CrossEntropyLoss(reduction), fc.SGD(model.parameters(), 0.01)
    twin_optimizer = fc.SGD(twin.parameters(), 0.01)

    [metrics] = Trainer(model, loss, optimizer, batch_size=10).fit(x, y, validation=(x, y))

    order = np.random.Generator(np.random.Philox(key=[7, 2**32 + 1])).permutation(25)
    costs = []
    for which in (order[:10], order[10:20], order[20:]):  # the last, smaller batch too
        cost = fc.train_step(twin, loss, twin_optimizer, x[which], y[which])
        costs.append(cost / len(which) if reduction == "sum" else cost)  # per sample, whatever the reduction
    assert model.arena.data.tobytes() == twin.arena.data.tobytes()
    assert metrics.cost == pytest.approx(np.average(costs, weights=[10, 10, 5]), rel=1e-14)
    moving = 0.99 * (0.99 * costs[0] + 0.01 * costs[1]) + 0.01 * costs[2]
    assert metrics.moving_loss == pytest.approx(moving, rel=1e-14)
    test_cost = loss(twin(x), y) / (25 if reduction == "sum" else 1)
    assert metrics.test_cost == pytest.approx(test_cost, rel=1e-14)
    assert metrics.test_accuracy == metrics.train_accuracy == (twin(x).argmax(axis=1) == y).mean()


def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides():
    one, same, other = (tiny_trainer(seed=seed) for seed in (1, 1, 2))
    order = one.order(50, epoch=1)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    np.testing.assert_array_equal(order, same.order(50, epoch=1))
    assert (order != one.order(50, epoch=2)).any() and (order != other.order(50, epoch=1)).any()
    np.testing.assert_array_equal(tiny_trainer(shuffle=False).order(50, epoch=3), np.arange(50))


def test_arrays_samples_and_batches_are_ways_to_say_the_same():
    x, y = tiny_arrays(25)
    batches = [(x[i : i + 10], y[i : i + 10]) for i in (0, 10, 20)]
    trainers = [tiny_trainer(shuffle=False) for _ in range(4)]
    histories = [
        trainers[0].fit(x, y, epochs=2, validation=(x, y)),
        trainers[1].fit(ArraySamples(x, y), epochs=2, validation=ArraySamples(x, y)),
        trainers[2].fit(batches, epochs=2, validation=batches),
        trainers[3].fit(tuple(batches[:]), epochs=2, validation=(batches[0], batches[1])),
    ]
    assert len({trainer.model.arena.data.tobytes() for trainer in trainers}) == 1
    assert untimed(histories[0]) == untimed(histories[1])
    by_batches = histories[2]
    assert by_batches.column("train_accuracy") == [None, None]
    assert by_batches.column("test_accuracy") == histories[0].column("test_accuracy")
    np.testing.assert_allclose(by_batches.column("test_cost"), histories[0].column("test_cost"), rtol=1e-14)
    assert histories[3].column("cost") == by_batches.column("cost")


def test_without_validation_and_without_a_metric_nothing_is_made_up():
    [metrics] = tiny_trainer(metric=None).fit(*tiny_arrays(20))
    assert (metrics.train_accuracy, metrics.test_accuracy, metrics.test_cost) == (None, None, None)


def test_soft_targets_have_an_accuracy():
    x, y = tiny_arrays(20)
    samples = ArraySamples(x, fc.data.soft_targets(y, "float64"))
    [metrics] = tiny_trainer().fit(samples, validation=(x, y))
    assert metrics.train_accuracy == metrics.test_accuracy


def test_a_metric_of_ones_own():
    def distance(outputs, targets):
        return abs(outputs.argmax(axis=1) - targets)

    trainer = tiny_trainer(metric=distance, metric_mode="min")
    x, y = tiny_arrays(30)
    [metrics] = trainer.fit(x, y, validation=(x[:20], y[:20]))
    assert metrics.train_metric == distance(trainer.model(x), y).mean()
    assert metrics.test_metric == distance(trainer.model(x[:20]), y[:20]).mean()
    assert (metrics.metric, metrics.mode) == ("distance", "min")
    assert metrics.train_accuracy is metrics.test_accuracy is None


@pytest.mark.parametrize("arrangement", [np.sort, lambda labels: labels], ids=["sorted", "taking turns"])
def test_the_training_accuracy_is_of_samples_from_all_over(arrangement):
    """Also where the labels take turns, which would fall into step with every so-many-th sample."""
    labels = arrangement(np.arange(20_000) % 10)
    x = np.eye(10, dtype=np.float32)[np.minimum(labels, 4)]  # of classes 5 to 9 nothing shows
    model = fc.Sequential(fc.Linear(10, 10))
    model.layers[0].weight.data = np.eye(10)
    [metrics] = Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters(), 1e-9), batch_size=5_000).fit(x, labels)
    again = Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters(), 1e-9), batch_size=5_000).fit(x, labels)
    assert metrics.train_accuracy == pytest.approx(0.5, abs=0.03)
    assert again[0].train_accuracy == metrics.train_accuracy


class TwoHeads(Loss):
    """Cross-entropy of two outputs."""

    def forward(self, logits, target):
        parts = [fc.CrossEntropyLoss().forward(*pair) for pair in zip(logits, target, strict=True)]
        return sum(value for value, _ in parts), lambda: tuple(backward() for _, backward in parts)


def test_a_model_with_two_outputs():
    x, y = tiny_arrays(60)
    node = fc.Input(16)
    heads = [fc.Linear(16, 10)(node), fc.Linear(16, 2)(node)]
    model = fc.Graph(node, heads, dtype="float64")
    trainer = Trainer(model, TwoHeads(), fc.SGD(model.parameters(), 0.5), batch_size=20)
    history = trainer.fit(x, (y, y % 2), epochs=30, validation=(x, (y, y % 2)))
    assert history[-1].test_cost < history[0].test_cost / 3
    assert history[-1].test_accuracy is None and history[-1].train_accuracy is None


def test_targets_of_several_outputs_may_be_a_list():
    x, y = tiny_arrays(20)
    bits = []
    for several in (tuple, list):
        node = fc.Input(16)
        model = fc.Graph(node, [fc.Linear(16, 10)(node), fc.Linear(16, 2)(node)], dtype="float64")
        trainer = Trainer(model, TwoHeads(), fc.SGD(model.parameters()), batch_size=8)
        trainer.fit(x, several((y, y % 2)), validation=several((x, several((y, y % 2)))))
        bits.append(model.arena.data.tobytes())
    assert bits[0] == bits[1]


def test_images_train_as_they_did_before_their_form_could_be_chosen():
    digits = fc.data.load_dataset("sample")
    train = ImageSamples(digits.train_images[:200], digits.train_labels[:200])
    test = ImageSamples(digits.test_images[:100], digits.test_labels[:100])
    model, twin = (fc.Sequential(fc.Flatten(), fc.Linear(784, 10), input_shape=(1, 28, 28)) for _ in range(2))
    Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), batch_size=200).fit(train, validation=test)
    order = np.random.Generator(np.random.Philox(key=[0, 2**32 + 1])).permutation(200)
    x = fc.data.scale_pixels(digits.train_images[:200][order], "gorgonia", "float32")
    y = fc.data.soft_targets(digits.train_labels[:200][order], "float32")
    fc.train_step(twin, fc.CrossEntropyLoss(), fc.SGD(twin.parameters()), x, y)
    assert model.arena.data.tobytes() == twin.arena.data.tobytes()


def test_fitting_twice_goes_on_where_it_stopped():
    at_once, in_two = tiny_trainer(), tiny_trainer()
    expected = at_once.fit(*tiny_arrays(30), epochs=3)
    history = in_two.fit(*tiny_arrays(30), epochs=1) + in_two.fit(*tiny_arrays(30), epochs=2)
    assert untimed(history) == untimed(expected) == untimed(in_two.history)
    assert in_two.model.arena.data.tobytes() == at_once.model.arena.data.tobytes()


def test_it_trains_in_other_threads_too():
    trainer = tiny_trainer()
    thread = threading.Thread(target=trainer.fit, args=tiny_arrays(20))
    thread.start()
    thread.join()
    assert trainer.progress.epoch == 1


# ---- whom it tells ---------------------------------------------------------------------------------------------------


def test_callbacks_hear_of_everything_in_order():
    diary = Diary()
    history = tiny_trainer([diary]).fit(*tiny_arrays(25), epochs=2)
    epoch = ["batch 1", "batch 2", "batch 3"]
    assert diary.calls == ["start", *epoch, "epoch 1", *epoch, "epoch 2", "end"]
    assert diary.epochs == history
    assert [(b.epoch, b.samples) for b in diary.batches] == [(e, n) for e in (1, 2) for n in (10, 20, 25)]
    assert all(batch.images_per_second > 0 for batch in diary.batches)


def test_callbacks_see_a_progress_that_is_up_to_date():
    seen = []

    class Looks(Callback):
        def on_batch(self, trainer, metrics):
            seen.append((trainer.progress.batch == metrics.batch, trainer.progress.steps == trainer.optimizer.steps))

        def on_epoch(self, trainer, metrics):
            seen.append((trainer.progress.epoch == metrics.epoch, trainer.history[-1] is metrics))

    tiny_trainer([Looks()]).fit(*tiny_arrays(25), epochs=2)
    assert seen == [(True, True)] * 8


def test_whoever_heard_of_the_start_hears_of_the_end_whatever_happens():
    class Fails(Callback):
        def on_start(self, trainer):
            raise RuntimeError("no")

    first, second = Diary(), Diary()
    with pytest.raises(RuntimeError, match="no"):
        tiny_trainer([first, Fails(), second]).fit(*tiny_arrays(25))
    assert (first.calls, second.calls) == (["start", "end"], [])


@pytest.mark.parametrize(("batch", "steps", "epochs"), [(1, 4, 1), (3, 6, 1), (None, 6, 2)])
def test_a_callback_can_stop_the_training_and_it_can_go_on(batch, steps, epochs):
    class Stops(Callback):
        def on_batch(self, trainer, metrics):
            trainer.should_stop = (metrics.epoch, metrics.batch) == (2, batch)

        def on_epoch(self, trainer, metrics):
            trainer.should_stop = (metrics.epoch, None) == (2, batch)

    undisturbed, trainer, diary = tiny_trainer(), tiny_trainer([Stops()]), Diary()
    expected = undisturbed.fit(*tiny_arrays(25), epochs=4)
    trainer.callbacks.append(diary)
    history = trainer.fit(*tiny_arrays(25), epochs=4)
    assert (trainer.optimizer.steps, len(history), diary.calls[-1]) == (steps, epochs, "end")
    trainer.callbacks = []
    assert len(trainer.fit(*tiny_arrays(25), epochs=4 - epochs)) == 4 - epochs
    assert untimed(trainer.history) == untimed(expected)
    assert trainer.model.arena.data.tobytes() == undisturbed.model.arena.data.tobytes()


# ---- what is refused -------------------------------------------------------------------------------------------------


def set_weight(value):
    def change(trainer):
        trainer.model.parameters()[0].data[0] = value

    return change


def test_a_cost_that_is_no_number_ends_the_training_with_epoch_batch_and_layer():
    diary = Diary()
    trainer = tiny_trainer([diary, Does(set_weight(np.nan), epoch=2, batch=1)])
    with pytest.raises(NonFiniteError, match=r"^epoch 2, batch 2: the cost became nan.*linear1.*smaller") as caught:
        trainer.fit(*tiny_arrays(25), epochs=5)
    assert caught.value.layer == "linear1"
    assert (len(diary.epochs), trainer.progress.epoch, trainer.progress.batch) == (1, 1, 1)
    assert trainer.optimizer.steps == trainer.progress.steps == 4  # the update did not happen


def test_weights_that_are_no_numbers_end_the_training():
    diary = Diary()
    trainer = tiny_trainer([Does(set_weight(np.inf), batch=3), diary])
    with pytest.raises(NonFiniteError, match=r"^epoch 1: a weight became infinite or NaN"):
        trainer.fit(*tiny_arrays(25), epochs=5)
    assert not diary.epochs


def test_weights_of_a_layer_that_moved_on_are_looked_at_where_they_are():
    trainer = tiny_trainer([Does(set_weight(np.inf), batch=3)])
    fc.Sequential(*trainer.model.layers, dtype="float64")
    with pytest.raises(NonFiniteError, match="a weight became infinite"):
        trainer.fit(*tiny_arrays(25))


def test_samples_of_another_size_or_dtype_or_none_are_refused_before_training():
    trainer = tiny_trainer()
    good = tiny_arrays(5)
    wide = np.zeros((5, 17)), good[1]
    single = good[0].astype(np.float32), good[1]
    for error, says, wrong in [
        (fc.ShapeError, r"takes inputs \(16,\).*are \(17,\)", wide),
        (fc.DTypeError, "expected float64 inputs, got float32", single),
        (fc.DataError, "at least one sample", (good[0][:0], good[1][:0])),
    ]:
        for training, validation in ((wrong, good), (good, wrong)):
            with pytest.raises(error, match=says):
                trainer.fit(*training, validation=validation)
    with pytest.raises(fc.ShapeError, match="linear1"):
        model = fc.Sequential(fc.Linear(16, 10), dtype="float64")  # without an input shape the layers say it
        Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters())).fit(*wide)
    assert trainer.optimizer.steps == 0


X, Y = tiny_arrays(4)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((X,), fc.ConfigError, "Trainer.fit: expected the targets y"),
        ((ArraySamples(X, Y), Y), fc.ConfigError, "Trainer.fit: expected no y beside samples"),
        ((7,), fc.ConfigError, "expected arrays x and y, samples, or an iterable of batches"),
        ((X, Y[:3]), fc.DataError, r"a target for each input, got inputs \(4, 16\) and targets \(3,\)"),
        (([],), fc.DataError, "^epoch 1: expected batches"),
        (([(X, Y), X],), fc.DataError, "^batch 2 of epoch 1: expected a pair"),
        (([(X, Y, Y)],), fc.DataError, "^batch 1 of epoch 1: expected a pair .* got 3 items"),
        (([(X[:0], Y[:0])],), fc.DataError, "^batch 1 of epoch 1: expected samples, got an x of shape"),
    ],
    ids=range(8),
)
def test_data_in_another_form_is_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        tiny_trainer().fit(*arguments)


@pytest.mark.parametrize(
    ("validation", "says"),
    [
        ([X.tolist(), Y.tolist()], r"^batch 1 of validation: expected a pair \(x, y\), got 4 items"),
        ([(X, Y), X], "^batch 2 of validation: expected a pair"),
        ([], "^validation: expected batches"),
        ([X, Y[:3]], "expected a target for each input"),
    ],
    ids=range(4),
)
def test_validation_in_another_form_is_refused_before_training(validation, says):
    trainer = tiny_trainer()
    with pytest.raises(fc.DataError, match=says):
        trainer.fit(X, Y, validation=validation)
    assert trainer.optimizer.steps == 0


def test_a_pair_of_arrays_may_be_a_list():
    histories = [tiny_trainer().fit(X, Y, validation=validation) for validation in ((X, Y), [X, Y])]
    assert untimed(histories[0]) == untimed(histories[1])


def test_a_generator_is_gone_through_once():
    trainer = tiny_trainer()
    batches = ((X, Y) for _ in range(3))
    with pytest.raises(fc.DataError, match=r"^epoch 2: expected batches .* got none; .* generator"):
        trainer.fit(batches, epochs=2)
    assert (trainer.progress.epoch, trainer.progress.batch) == (1, 0)
    trainer.fit([(X, Y)])  # all is well with the trainer
    with pytest.raises(fc.DataError, match=r"^evaluation: expected batches"):
        trainer.fit(X, Y, epochs=2, validation=iter([(X, Y)]))


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"batch_size": 2.5}, {"metric": "f1"}, {"metric_mode": "up", "metric": max}], ids=str
)
def test_arguments_out_of_range_are_refused(wrong):
    name = next(iter(wrong))
    with pytest.raises(fc.ConfigError, match=f"Trainer: {name} must be"):
        tiny_trainer(**wrong)
    with pytest.raises(fc.ConfigError, match=r"Trainer.fit: epochs must be"):
        tiny_trainer().fit(X, Y, epochs=0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"model": fc.SGD}, "model must be an instance of Model, got the class SGD"),
        ({"model": None}, "model must be an instance of Model, got NoneType; the order is"),
        ({"loss": fc.CrossEntropyLoss}, "loss must be an instance of Loss, got the class CrossEntropyLoss; make an"),
        ({"loss": "swapped"}, r"loss must be an instance of Loss, got SGD; .* Trainer\(model, loss, optimizer\)"),
        ({"optimizer": fc.SGD}, "optimizer must be an instance of Optimizer, got the class SGD"),
        ({"callbacks": Diary()}, r"callbacks must be .* Callback, got Diary alone; write callbacks=\[...\]"),
        ({"callbacks": Diary}, "callbacks must be .* Callback, got Diary alone"),
        ({"callbacks": None}, "callbacks must be .* Callback, got NoneType alone"),
        ({"callbacks": [Diary(), Diary]}, "callbacks must be .* Callback, got the class Diary"),
        ({"callbacks": [print]}, "callbacks must be .* Callback, got builtin_function_or_method"),
    ],
    ids=range(10),
)
def test_what_is_not_of_its_kind_is_refused(wrong, says):
    model = fc.Sequential(fc.Linear(16, 10))
    right = {"model": model, "loss": fc.CrossEntropyLoss(), "optimizer": fc.SGD(model.parameters())}
    if wrong == {"loss": "swapped"}:
        wrong = {"loss": right["optimizer"], "optimizer": right["loss"]}
    with pytest.raises(fc.ConfigError, match=f"^Trainer: {says}"):
        Trainer(**(right | wrong))


def test_callbacks_may_come_from_a_generator():
    diary = Diary()
    tiny_trainer(each for each in [diary]).fit(X, Y)
    assert diary.calls[-1] == "end"


def test_evaluate_is_what_the_epochs_say():
    trainer = tiny_trainer()
    x, y = tiny_arrays(25)
    [metrics] = trainer.fit(x, y, validation=(x, y))
    found = evaluate(trainer.model, ArraySamples(x, y), trainer.loss)
    assert (found.samples, found.accuracy, found.cost) == (25, metrics.test_accuracy, metrics.test_cost)
