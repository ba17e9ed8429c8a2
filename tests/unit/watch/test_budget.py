"""What watching may cost."""

import pytest

from transience.watch import budget as module
from transience.watch.budget import BURST, LONGEST, Budget


@pytest.fixture
def clock(monkeypatch):
    now = {"wall": 100.0, "cpu": 7.0}
    monkeypatch.setattr(module.time, "monotonic", lambda: now["wall"])
    monkeypatch.setattr(module.time, "process_time", lambda: now["cpu"])
    return now


def test_what_was_spent_is_taken_from_what_was_earned(clock):
    budget = Budget(0.02)
    assert budget.left == 0.0
    clock["wall"] += 10
    budget.settle(3)
    assert budget.left == pytest.approx(0.6)
    clock["cpu"] += 5
    budget.settle(3)
    assert budget.left == pytest.approx(-4.4)
    clock["wall"] += 10
    budget.settle(0)  # as if one ran
    assert budget.left == pytest.approx(-4.2)


def test_no_more_is_saved_than_a_little(clock):
    budget = Budget(0.02)
    clock["wall"] += 1e6
    budget.settle(2)
    assert budget.left == pytest.approx(0.04 * BURST)


def test_a_page_that_costs_much_comes_less_often(clock):
    budget = Budget(0.02)
    budget.settle(2)
    assert budget.pause(10.0, 0.1) == 10.0
    assert budget.pause(10.0, 2.0) == pytest.approx(50.0)


def test_over_an_hour_no_more_than_the_share_is_spent(clock):
    """As the command does: look and show, measure while something is left, and wait."""
    budget, pause, spent = Budget(0.02), 10.0, 0.0
    while clock["wall"] < 3700:
        clock["wall"] += pause
        cost = 0.05 + (0.7 if budget.left > 0 else 0.0)
        clock["cpu"] += cost
        spent += cost
        budget.settle(1)
        pause = budget.pause(10.0, 0.05)
    assert 0.9 * 72 < spent <= 72 + 1


def test_no_pause_is_longer_than_an_hour_unless_it_is_asked_for(clock):
    budget = Budget(1e-12)
    assert budget.pause(10.0, 1.0) == LONGEST
    assert budget.pause(2 * LONGEST, 1.0) == 2 * LONGEST
