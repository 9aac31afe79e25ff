"""Every barrier is needed: without it, in one of the two orders of threads, the kernel's results are wrong."""

import pytest
from budgets import budgets
from exercises import EXERCISES

from fastcnn.backends.cuda.device import use

pytest.importorskip("greenlet", reason="kernels run on the CPU as greenlets")
from simt import KernelFault, SimtDevice, barriers

SITES = {}  # by the name of what makes the kernel: its barriers
for budget in budgets():
    SITES.setdefault(budget.make, set()).update(barriers(budget.kernel.body))
SITES = {make: sorted(sites, key=lambda site: site[1]) for make, sites in SITES.items() if sites}


def fails(exercise, order, without):
    """Whether the exercise finds something wrong."""
    with use(SimtDevice(order, without)):
        try:
            exercise()
        except (AssertionError, KernelFault):
            return True
    return False


def test_every_kernel_with_a_barrier_has_an_exercise():
    assert set(EXERCISES) == set(SITES)


@pytest.mark.parametrize("make", EXERCISES)
def test_the_exercise_succeeds_with_all_barriers(make):
    assert not fails(EXERCISES[make], 1, None)
    assert not fails(EXERCISES[make], -1, None)


@pytest.mark.parametrize(
    ("make", "site"),
    [pytest.param(make, site, id=f"{make} line {site[1]}") for make, sites in SITES.items() for site in sites],
)
def test_the_exercise_fails_without_one(make, site):
    assert fails(EXERCISES[make], 1, site) or fails(EXERCISES[make], -1, site)
