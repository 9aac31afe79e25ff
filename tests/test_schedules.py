"""Schedules: their values are PyTorch's; a trainer heeds them, also after a resume."""

import numpy as np
import pytest
from tiny_training import Does, tiny_arrays, tiny_trainer

import fastcnn as fc
from fastcnn.checkpoint import load_checkpoint, save_checkpoint
from fastcnn.schedules import check_rates

# torch.optim.lr_scheduler of PyTorch 2.13, with cycle_momentum=False: the rate of each step.
PYTORCH = {
    "cos": [
        0.0009999999999999992, 0.0039042780083085905, 0.008868298366769957, 0.009944209976994517, 0.00933079689190327,
        0.008119331560284373, 0.006477302096182466, 0.004631723182535811, 0.0028377507231077976, 0.0013434059002100187,
        0.0003552856255222004, 1e-05,
    ],
    "linear": [
        0.001, 0.004461538461538463, 0.007923076923076925, 0.009524285714285714, 0.008335, 0.007145714285714285,
        0.005956428571428572, 0.004767142857142857, 0.003577857142857142, 0.002388571428571429, 0.0011992857142857135,
        9.999999999999593e-06,
    ],
    "annealing": [
        0.1, 0.0962320368593087, 0.0855017856687341, 0.06944282990207196, 0.0505, 0.03155717009792806,
        0.0154982143312659, 0.004767963140691306, 0.001,
    ],
}  # fmt: skip


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle_is_that_of_pytorch(strategy):
    schedule = fc.OneCycleLR(0.01, 12, pct_start=0.3, anneal_strategy=strategy, div_factor=10, final_div_factor=100)
    np.testing.assert_allclose([schedule(step) for step in range(12)], PYTORCH[strategy], rtol=1e-12)


def test_cosine_annealing_is_that_of_pytorch():
    schedule = fc.CosineAnnealingLR(0.1, T_max=8, eta_min=0.001)
    np.testing.assert_allclose([schedule(step) for step in range(9)], PYTORCH["annealing"], rtol=1e-12)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 101])
def test_one_cycle_rises_falls_and_stays(strategy, share, steps):
    schedule = fc.OneCycleLR(1.0, steps, share, strategy)
    rates = [schedule(step) for step in range(steps)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert min(rates) > 0 and max(rates) <= 1.0
    assert schedule(steps + 5) == schedule(10 * steps + 50) == 1 / 25 / 1e4


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: fc.OneCycleLR(-1, 5), "OneCycleLR: max_lr must be a number >= 0, got -1"),
        (lambda: fc.OneCycleLR(0.1, 0), "OneCycleLR: total_steps must be"),
        (lambda: fc.OneCycleLR(0.1, 5, 1.0), "OneCycleLR: pct_start must be above 0 and below 1"),
        (lambda: fc.OneCycleLR(0.1, 5, 0.0), "OneCycleLR: pct_start must be"),
        (lambda: fc.OneCycleLR(0.1, 5, anneal_strategy="steep"), "OneCycleLR: anneal_strategy must be cos or linear"),
        (lambda: fc.OneCycleLR(0.1, 5, div_factor=0), "OneCycleLR: div_factor must be"),
        (lambda: fc.OneCycleLR(0.1, 5, final_div_factor=-1), "OneCycleLR: final_div_factor must be"),
        (lambda: fc.CosineAnnealingLR(0.1, 1.5), "CosineAnnealingLR: T_max must be"),
        (lambda: fc.CosineAnnealingLR(0.1, 5, -1e-9), "CosineAnnealingLR: eta_min must be a number >= 0"),
        (lambda: fc.CosineAnnealingLR(float("inf"), 5), "CosineAnnealingLR: lr must be a number >= 0"),
        (
            lambda: tiny_trainer(schedule=0.1),
            "Trainer: schedule must be None or a function of a step's number, got 0.1",
        ),
        (lambda: tiny_trainer(schedule=fc.OneCycleLR), "Trainer: schedule must be None or a function"),
    ],
)
def test_what_will_not_do_is_refused(make, says):
    with pytest.raises(fc.ConfigError, match=says):
        make()


def test_a_trainer_sets_the_rate_before_each_step_by_the_optimizers_count():
    seen = []
    trainer = tiny_trainer(schedule=lambda step: 0.5**step)
    update = trainer.optimizer.update
    trainer.optimizer.update = lambda *arrays: (seen.append(trainer.optimizer.lr), update(*arrays))
    trainer.fit(*tiny_arrays(25), epochs=2)
    assert seen == [0.5**step for step in range(6)]


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (lambda step: 0.1 * step, [0.0, 0.1, 0.2]),
        (lambda step: 0.2 - 0.1 * step, [0.2, 0.1, 0.0]),
        (lambda step: 0.3 - 0.1 * (step + 1), [0.2, 0.1, 0.0]),  # -6e-17
        (fc.CosineAnnealingLR(0.2, T_max=2, eta_min=0), [0.2, 0.1, 0.0]),
        (fc.OneCycleLR(0.1, 3, 2 / 3, "linear", float("inf"), float("inf")), [0.0, 0.1, 0.0]),
        (fc.OneCycleLR(0, 3), [0.0, 0.0, 0.0]),
    ],
    ids=["warm-up", "decay", "rounded decay", "cosine", "one-cycle", "frozen"],
)
def test_a_rate_of_0_is_a_rate_at_which_the_weights_stay(schedule, rates):
    trainer = tiny_trainer(schedule=schedule)
    seen = []

    def note(trainer):
        seen.append((trainer.optimizer.lr, trainer.model.arena.data.copy()))

    before = trainer.model.arena.data.copy()
    trainer.callbacks = [Does(note, epoch=1, batch=number) for number in (1, 2, 3)]
    trainer.fit(*tiny_arrays(30))
    np.testing.assert_allclose([lr for lr, _ in seen], rates, atol=1e-15)
    for rate, (_, after) in zip(rates, seen, strict=True):
        assert (after == before).all() == (rate == 0)
        before = after


def from_a_list(step):
    return [0.1, 0.1, 0.1, 0.1][step]


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        (lambda step: 0.5 - 0.125 * step, r"schedule <lambda>: the learning rate of step 5 .* >= 0, got -0.125"),
        (lambda step: float("nan") if step == 2 else 0.1, "the learning rate of step 2 .* got nan"),
        (lambda step: None, "the learning rate of step 0 .* got None"),
        (from_a_list, "schedule from_a_list: no learning rate for step .* IndexError: list index out of range"),
        (lambda step: 0.1 / step, "step 0 .* ZeroDivisionError: "),
    ],
)
@pytest.mark.parametrize("in_batches", [False, True])
def test_a_schedule_that_gives_no_rate_for_a_step_is_refused_before_the_first(schedule, says, in_batches):
    trainer = tiny_trainer(schedule=schedule)
    x, y = tiny_arrays(30)
    data = ([(x[first : first + 10], y[first : first + 10]) for first in (0, 10, 20)],) if in_batches else (x, y)
    with pytest.raises(fc.ConfigError, match=says):
        trainer.fit(*data, epochs=2)
    assert trainer.optimizer.steps == trainer.progress.steps == 0


def test_of_a_long_run_the_last_step_is_looked_at_and_few_others():
    seen = []
    check_rates(lambda step: seen.append(step) or 0.1, range(7, 10_000_000))
    assert seen[0] == 7 and 9_999_999 in seen and len(seen) <= 10_001


def test_a_schedule_that_gives_no_rate_ends_training_between_two_steps():
    trainer = tiny_trainer(schedule=lambda step: 0.1 if step < 2 else -1)
    x, y = tiny_arrays(50)
    with pytest.raises(fc.ConfigError, match=r"schedule <lambda>: the learning rate of step 2 .* >= 0, got -1"):
        trainer.fit(batch for batch in zip(np.split(x, 5), np.split(y, 5), strict=True))
    assert trainer.optimizer.steps == trainer.progress.steps == 2 and not trainer.in_step


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_a_resumed_run_goes_on_at_the_same_rate_to_the_same_bits(tmp_path, batch):
    x, y = tiny_arrays(50)

    def trainer(**options):
        return tiny_trainer(schedule=fc.OneCycleLR(0.05, 15, 0.4), **options)

    (at_once := trainer()).fit(x, y, epochs=3)

    def stop(trainer):
        trainer.should_stop = True

    stopped = trainer(callbacks=[Does(stop, epoch=2, batch=batch)])
    stopped.fit(x, y, epochs=3)
    save_checkpoint(tmp_path / "run", stopped)
    resumed = trainer(seed=0)
    load_checkpoint(tmp_path / "run").restore(resumed)
    resumed.fit(x, y, epochs=3 - resumed.progress.epoch)
    assert resumed.optimizer.lr == at_once.optimizer.lr
    assert resumed.model.arena.data.tobytes() == at_once.model.arena.data.tobytes()
