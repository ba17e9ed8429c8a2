"""What benchmarks make of their measurements."""

from pathlib import Path

import paper_cost
import pytest
import speed
import torch

from transience.planning.configuration import completed, load
from transience.training.cuda_graph import WARM_UP

PAPER = completed(load(str(Path(__file__).parents[2] / "config/paper.yaml")))


def test_a_start_is_paid_once_and_not_for_every_unit():
    """75 s of start-up and compilation, 3.4 ms a step: by division alone a step would be 1.1 s."""
    jobs = [(68, 75.2312, 2400.0), (6800, 98.12, 2500.0)]
    found = paper_cost.cost(jobs)
    assert found.unit == pytest.approx(3.4e-3)
    assert found.start == pytest.approx(75)
    assert found.megabytes == 2500
    assert found.hours(150_000) == pytest.approx((75 + 150_000 * 3.4e-3) / 3600)


def test_noise_makes_no_cost_negative():
    assert paper_cost.cost([(5, 4.0, 1.0), (11, 3.9, 1.0)]) == (4.0, 0.0, 1.0)
    assert paper_cost.cost([(5, 4.0, 1.0), (11, 12.0, 1.0)]).start == 0


@pytest.mark.parametrize("device", paper_cost.LONGER)
def test_two_lengths_differ_in_what_every_rule_does(device):
    short, long = (
        completed(
            {**PAPER, **{key: PAPER[key] | value for key, value in changes.items()}}
        )
        for changes in (paper_cost.few(device, times) for times in (1, paper_cost.LONGER[device]))
    )  # fmt: skip
    fewer, more = paper_cost.units(short), paper_cost.units(long)
    assert set(fewer) == set(paper_cost.TABLES)
    assert all(more[rule] >= 2 * fewer[rule] for rule in fewer)
    assert fewer["train"] > WARM_UP  # so both compile, and record, alike
    if device == "cuda":
        paper = paper_cost.units(PAPER)
        assert more["train"] / more["evaluate"] == pytest.approx(
            paper["train"] / paper["evaluate"], rel=0.05
        )


def test_products_in_place_are_counted():
    """Those of the weights' gradients are, a third of a step."""
    a, b, total = torch.ones(3, 4), torch.ones(4, 5), torch.zeros(3, 5)
    assert speed.products_in(lambda: total.addmm_(a, b)) == 2 * 3 * 4 * 5
    case = speed.Case.of("smoke.yaml", torch.device("cpu"))
    forward, whole = (speed.operations(case, gradient=one) for one in (False, True))
    assert 2.7 * forward < whole <= 3.1 * forward
