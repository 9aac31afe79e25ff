"""train_step: learns, repeats itself to the bit, resumes exactly."""

import numpy as np
import pytest
from support import use_threads

import fastcnn as fc

CLASSES = 4


def small_model(seed=0):
    return fc.Sequential(
        fc.Conv2d(1, 8, 3, padding=1), fc.ReLU(), fc.MaxPool2d(2), fc.Dropout(0.2),
        fc.Conv2d(8, 17, 3, padding=1), fc.ReLU(), fc.MaxPool2d(2), fc.Flatten(), fc.Dropout(0.2),
        fc.Linear(17 * 3 * 3, 33), fc.ReLU(), fc.Linear(33, CLASSES),
        input_shape=(1, 12, 12), seed=seed,
    )  # fmt: skip


def batches(count, size=24):
    rng = np.random.default_rng(5)
    for _ in range(count):
        yield rng.standard_normal((size, 1, 12, 12)).astype(np.float32), rng.integers(0, CLASSES, size)


def trained(model, optimizer, steps):
    loss = fc.CrossEntropyLoss()
    costs = [fc.train_step(model, loss, optimizer, x, y) for x, y in steps]
    return costs, model.arena.data.tobytes()


def fresh():
    model = small_model()
    return model, fc.RMSprop(model.parameters())


def test_a_small_batch_is_learned_by_heart():
    model, optimizer = fresh()
    [batch] = batches(1)
    costs, _ = trained(model, optimizer, [batch] * 60)
    x, labels = batch
    assert costs[0] > 1
    assert (model(x).argmax(axis=1) == labels).all()


def test_something_else_than_an_optimizer_is_refused_by_name():
    model, _ = fresh()
    for other in (model, model.freeze()):
        with pytest.raises(fc.ConfigError, match=r"train_step: the optimizer must be .*, got None"):
            fc.train_step(other, fc.CrossEntropyLoss(), None, *next(batches(1)))


def test_the_value_is_the_cost_before_the_update():
    model = fc.Sequential(fc.Linear(3, CLASSES), dtype="float64")
    x, labels = np.eye(3), np.array([0, 1, 2])
    loss = fc.CrossEntropyLoss()
    expected = loss(model(x), labels)
    assert fc.train_step(model, loss, fc.SGD(model.parameters()), x, labels) == expected


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads):
    results = []
    for count in (1, threads):
        with use_threads(count):
            results.append(trained(*fresh(), batches(12, size=37)))
    assert results[0] == results[1]


def test_a_run_stopped_and_resumed_gives_the_bits_of_the_undisturbed_one():
    steps = list(batches(8))
    costs, expected = trained(*fresh(), steps)

    model, optimizer = fresh()
    trained(model, optimizer, steps[:3])
    resumed_model, resumed_optimizer = fresh()
    resumed_model.load_state_dict(model.state_dict())
    resumed_optimizer.load_state_dict(optimizer.state_dict())
    assert trained(resumed_model, resumed_optimizer, steps[3:]) == (costs[3:], expected)


@pytest.mark.parametrize("other", [{"seed": 1}, {"steps": 1}], ids=str)
def test_each_step_of_each_seed_draws_masks_of_its_own(other):
    seen = []

    class Spy(fc.Layer):
        def forward(self, x, training):
            seen.append(x)
            return x, lambda dy: dy

    for settings in ({}, other):
        model = fc.Sequential(fc.Dropout(), Spy(), fc.Linear(100, 2), seed=settings.get("seed", 0))
        optimizer = fc.SGD(model.parameters())
        optimizer.steps = settings.get("steps", 0)
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, np.ones((5, 100), np.float32), np.zeros(5, int))
    assert abs((seen[0] == seen[1]).mean() - 0.5) < 0.1


def test_a_loss_without_reduction_is_refused():
    model, optimizer = fresh()
    [(x, y)] = batches(1)
    with pytest.raises(fc.ConfigError, match="use another reduction than 'none'"):
        fc.train_step(model, fc.CrossEntropyLoss("none"), optimizer, x, y)


def test_the_optimizer_of_another_model_is_refused_and_changes_nothing():
    model, _ = fresh()
    other, optimizer = fresh()
    before = other.arena.data.copy()
    [(x, y)] = batches(1)
    with pytest.raises(fc.ConfigError, match="parameters that are not this model's"):
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, x, y)
    np.testing.assert_array_equal(other.arena.data, before)


def test_an_optimizer_of_some_parameters_trains_those_alone():
    model = small_model()
    before = model.state_dict()
    last = model.layers[-1]
    [(x, y)] = batches(1)
    fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(last.parameters()), x, y)
    changed = [name for name, values in model.state_dict().items() if (values != before[name]).any()]
    assert changed == ["linear2.weight", "linear2.bias"]


def test_two_models_may_take_turns_with_one_layer():
    shared = fc.Linear(3, CLASSES)
    first, second = fc.Sequential(shared), fc.Sequential(fc.ReLU(), shared)
    costs = []
    for model in [first, second] * 10:
        loss, optimizer = fc.CrossEntropyLoss(), fc.SGD(model.parameters(), 0.5)
        costs.append(fc.train_step(model, loss, optimizer, np.eye(3, dtype=np.float32), np.arange(3)))
    assert costs[-1] < costs[0] / 2
