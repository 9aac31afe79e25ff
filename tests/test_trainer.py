"""Trainer: what it computes an epoch from, in which order, and whom it tells."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.trainer import Callback, NonFiniteCostError, Samples, Settings, Trainer, accuracy


def tiny_samples(count, seed=0, dtype="float64"):
    """Images of 4x4 whose label shows in one bright pixel."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    images = rng.integers(0, 60, (count, 1, 4, 4)).astype(np.uint8)
    images.reshape(count, 16)[np.arange(count), labels] = 255
    return Samples(images, labels, dtype)


def tiny_trainer(callbacks=(), lr=0.01, seed=0, **options):
    model = fc.Sequential(
        fc.Flatten(), fc.Linear(16, 10), fc.Dropout(0.1), input_shape=(1, 4, 4), dtype="float64", seed=seed
    )
    optimizer = fc.RMSprop(model.parameters(), lr)
    return Trainer(model, fc.CrossEntropyLoss(), optimizer, callbacks=callbacks, **options)


class Diary(Callback):
    def __init__(self):
        self.batches, self.epochs = [], []

    def on_batch(self, trainer, metrics):
        self.batches.append(metrics)

    def on_epoch(self, trainer, metrics):
        self.epochs.append(metrics)


def test_it_learns():
    metrics = tiny_trainer().fit(tiny_samples(400), tiny_samples(100, seed=1), epochs=20)
    assert metrics[-1].test_accuracy > 0.95 and metrics[-1].train_accuracy > 0.95
    assert metrics[-1].cost < metrics[0].cost


def test_an_epoch_is_these_train_steps():
    samples = tiny_samples(25)
    model = fc.Sequential(fc.Flatten(), fc.Linear(16, 10), input_shape=(1, 4, 4), dtype="float64", seed=7)
    loss, optimizer = fc.CrossEntropyLoss(), fc.SGD(model.parameters(), 0.1)
    twin = fc.Sequential(fc.Flatten(), fc.Linear(16, 10), input_shape=(1, 4, 4), dtype="float64", seed=7)
    twin_optimizer = fc.SGD(twin.parameters(), 0.1)

    [metrics] = Trainer(model, loss, optimizer, batch_size=10).fit(samples, samples, epochs=1)

    order = np.random.Generator(np.random.Philox(key=[7, 2**32 + 1])).permutation(25)
    costs = []
    for which in (order[:10], order[10:20], order[20:]):  # the last, smaller batch too
        x = fc.data.scale_pixels(samples.images[which], "gorgonia", "float64")
        y = fc.data.soft_targets(samples.labels[which], "float64")
        costs.append(fc.train_step(twin, loss, twin_optimizer, x, y))
    assert model.arena.data.tobytes() == twin.arena.data.tobytes()
    assert metrics.cost == pytest.approx(np.average(costs, weights=[10, 10, 5]), rel=1e-14)
    moving = 0.99 * (0.99 * costs[0] + 0.01 * costs[1]) + 0.01 * costs[2]
    assert metrics.moving_loss == pytest.approx(moving, rel=1e-14)


def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides():
    one, same, other = (tiny_trainer(seed=seed) for seed in (1, 1, 2))
    order = one.order(50, epoch=1)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    np.testing.assert_array_equal(order, same.order(50, epoch=1))
    assert (order != one.order(50, epoch=2)).any() and (order != other.order(50, epoch=1)).any()
    np.testing.assert_array_equal(tiny_trainer(shuffle=False).order(50, epoch=3), np.arange(50))


def test_fitting_twice_goes_on_where_it_stopped():
    samples = tiny_samples(30)
    at_once, in_two = tiny_trainer(), tiny_trainer()
    expected = at_once.fit(samples, samples, epochs=3)
    metrics = in_two.fit(samples, samples, epochs=1) + in_two.fit(samples, samples, epochs=2)
    assert [m.epoch for m in metrics] == [1, 2, 3]
    assert [(m.cost, m.moving_loss) for m in metrics] == [(m.cost, m.moving_loss) for m in expected]
    assert in_two.model.arena.data.tobytes() == at_once.model.arena.data.tobytes()


def test_callbacks_hear_of_every_batch_and_every_epoch():
    diary = Diary()
    metrics = tiny_trainer([diary], batch_size=10).fit(tiny_samples(25), tiny_samples(5), epochs=2)
    assert diary.epochs == metrics
    assert [(b.epoch, b.batch, b.samples) for b in diary.batches] == [
        (epoch, *batch) for epoch in (1, 2) for batch in ((1, 10), (2, 20), (3, 25))
    ]
    assert all(batch.images_per_second > 0 for batch in diary.batches)


def test_accuracy_is_the_share_of_right_answers_in_evaluation_mode():
    model = fc.Sequential(fc.Flatten(), fc.Dropout(0.9), fc.Linear(16, 10), input_shape=(1, 4, 4), dtype="float64")
    model.parameters()[0].data = np.eye(10, 16)  # the brightest of the first ten pixels wins
    samples = tiny_samples(1200)
    wrong = np.array([3, 700, 1199])
    samples.labels[wrong] = (samples.labels[wrong] + 1) % 10
    assert accuracy(model, samples) == 1197 / 1200
    assert accuracy(model, samples, at_most=700) == 699 / 700
    assert accuracy(model, samples, at_most=10_000) == 1197 / 1200


def test_a_cost_that_is_no_number_ends_the_training_with_epoch_and_batch():
    diary = Diary()
    trainer = tiny_trainer([diary], batch_size=10)

    class Breaks(Callback):
        def on_batch(self, trainer, metrics):
            if (metrics.epoch, metrics.batch) == (2, 1):
                trainer.model.arena.data[0] = np.nan

    trainer.callbacks.append(Breaks())
    with pytest.raises(NonFiniteCostError, match="became nan in epoch 2, batch 2"):
        trainer.fit(tiny_samples(25), tiny_samples(5), epochs=5)
    assert len(diary.epochs) == 1 and trainer.epoch == 1


def test_weights_that_are_no_numbers_end_the_training():
    class Breaks(Callback):
        def on_batch(self, trainer, metrics):
            trainer.model.arena.data[0] = np.inf

    diary = Diary()
    with pytest.raises(NonFiniteCostError, match="a weight became infinite or NaN at the end of epoch 1"):
        tiny_trainer([Breaks(), diary]).fit(tiny_samples(25), tiny_samples(5), epochs=5)
    assert not diary.epochs


def test_weights_of_a_layer_that_moved_on_are_looked_at_where_they_are():
    trainer = tiny_trainer()
    fc.Sequential(*trainer.model.layers, dtype="float64")

    class Breaks(Callback):
        def on_batch(self, trainer, metrics):
            trainer.model.parameters()[0].data[0] = np.inf

    trainer.callbacks.append(Breaks())
    with pytest.raises(NonFiniteCostError, match="a weight became infinite"):
        trainer.fit(tiny_samples(25), tiny_samples(5), epochs=1)


def test_samples_need_a_label_each():
    with pytest.raises(fc.DataError, match="expected a label an image, got 5 and 3"):
        Samples(np.zeros((5, 1, 4, 4), np.uint8), np.zeros(3, np.uint8))


def test_samples_of_another_size_or_none_are_refused_before_training():
    trainer = tiny_trainer()
    other = Samples(np.zeros((3, 1, 5, 4), np.uint8), np.zeros(3, np.uint8), "float64")
    for training, test in ((other, tiny_samples(3)), (tiny_samples(3), other)):
        with pytest.raises(fc.DataError, match=r"takes images \(1, 4, 4\).*are \(1, 5, 4\)"):
            trainer.fit(training, test, epochs=1)
    with pytest.raises(fc.DataError, match="at least one sample"):
        trainer.fit(tiny_samples(0), tiny_samples(3), epochs=1)
    assert trainer.optimizer.steps == 0


def test_the_settings_of_a_run_are_those_of_gorgonia():
    trainer = Trainer.from_settings(Settings())
    optimizer = trainer.optimizer
    assert (optimizer.lr, optimizer.decay, optimizer.eps) == (0.001, 0.999, 1e-8)
    assert (trainer.batch_size, trainer.model.name) == (100, "gorgonia")
    assert isinstance(trainer.loss, fc.CrossEntropyLoss) and trainer.loss.reduction == "mean_elements"


def test_the_settings_reach_the_trainer():
    settings = Settings(dtype="float64", loss="product", reduction="sum", lr=0.5, seed=9, batch_size=7, shuffle=False)
    trainer = Trainer.from_settings(settings)
    assert (trainer.model.dtype, trainer.model.seed, trainer.optimizer.lr) == (np.float64, 9, 0.5)
    assert (trainer.batch_size, trainer.shuffle) == (7, False)
    assert isinstance(trainer.loss, fc.ProductLoss) and trainer.loss.reduction == "sum"


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"epochs": -1}, {"epochs": 1.5}, {"batch_size": 0}, {"limit": 0}, {"seed": -1},
        {"loss": "hinge"}, {"model": "resnet"}, {"optimizer": "adam"}, {"loss": ["product"]},
        {"lr": float("nan")}, {"lr": "0.1"}, {"eps": 0}, {"decay": 1}, {"dtype": "int8"}, {"reduction": "none"},
        {"reduction": "avg"}, {"scaling": "z"}, {"epochs": None}, {"seed": None}, {"shuffle": "no"},
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(wrong):
    [name] = wrong
    with pytest.raises(fc.ConfigError, match=f"settings: {name} must be"):
        Settings(**wrong)
