"""What holds for every family of problems: its predictors are posterior means, whatever it is."""

import math

import pytest
import torch

from transience.problem.families.family import family_of, sum_before
from transience.problem.ideal_predictors import dmmse, ridge
from transience.problem.mixture import mixture
from transience.problem.settings import FAMILIES
from transience.problem.tasks import sample_sequences, task_set

D, K = 2, 6
NOISE = {"linear": 0.25, "features": 0.25, "gaussian_means": 1.5}

every_family = pytest.mark.parametrize("family", FAMILIES)


def sequences(family, num_tasks=5.0, num_sequences=4, dimension=D, seed=0):
    return sample_sequences(
        seed, "test", tasks=task_set(0, num_tasks, dimension), num_sequences=num_sequences,
        num_examples=K, task_dimension=dimension, noise_variance=NOISE[family], family=family,
    )  # fmt: skip


def options(family):
    return {"noise_variance": NOISE[family], "family": family}


def test_there_is_a_file_for_each():
    assert set(FAMILIES) == set(NOISE)
    names = [(family_of(name).memorising, family_of(name).general) for name in FAMILIES]
    assert len({*names}) == len(FAMILIES) and all(map(all, names))


@every_family
def test_inputs_and_noise_are_the_same_for_every_diversity(family):
    """What a task does not touch: inputs where it makes labels, labels where it makes inputs."""
    few, many = sequences(family, 1), sequences(family, 64)
    same = [torch.equal(one, other) for one, other in zip(few, many, strict=True)]
    assert same == ([False, True] if family == "gaussian_means" else [True, False])


@every_family
def test_the_general_predictor_is_the_limit_of_the_memorising_one(family):
    xs, ys = (part.double() for part in sequences(family, math.inf, dimension=1))
    quantiles = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    grid = math.sqrt(2) * torch.erfinv(2 * quantiles - 1)[:, None]
    found = dmmse(xs, ys, grid, **options(family))
    expected = ridge(xs, ys, **options(family))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)


@every_family
def test_evidence_is_that_of_the_same_things_under_both_priors(family):
    """A fine grid of the prior has the evidence of the prior."""
    xs, ys = (part.double() for part in sequences(family, math.inf, dimension=1))
    quantiles = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    grid = math.sqrt(2) * torch.erfinv(2 * quantiles - 1)[:, None]
    problem = family_of(family)
    found = problem.weighed_memorising(xs, ys, grid, NOISE[family])
    expected = problem.weighed_general(xs, ys, NOISE[family])
    torch.testing.assert_close(found[1], expected[1], rtol=1e-3, atol=5e-3)


@every_family
def test_predictors_alone_are_those_that_are_weighed(family):
    (xs, ys), tasks = (part.double() for part in sequences(family)), task_set(0, 5, D).double()
    problem, noise = family_of(family), NOISE[family]
    both = problem.weighed_memorising(xs, ys, tasks, noise), problem.weighed_general(xs, ys, noise)
    assert problem.memorised(xs, ys, tasks, noise).equal(both[0][0])
    assert problem.generalised(xs, ys, noise).equal(both[1][0])


@every_family
def test_no_label_from_a_position_on_is_looked_at(family):
    (xs, ys), tasks = sequences(family), task_set(0, 5, D)
    changed = torch.cat([ys[:, :3], -ys[:, 3:]], dim=1)
    fractions = {"fresh_fractions": [0.0, 0.3, 1.0]}
    before, after = (mixture(xs, y, tasks, **fractions, **options(family)) for y in (ys, changed))
    assert before[:, :, :4].equal(after[:, :, :4])
    assert not before[:, :, 4:].equal(after[:, :, 4:])


@every_family
@pytest.mark.parametrize(("drawn_from", "best"), [(5.0, 0), (math.inf, 1)])
def test_each_predictor_is_the_best_on_its_own_distribution(family, drawn_from, best):
    """By more than luck: also better than itself, shrunk or enlarged."""
    (xs, ys), tasks = sequences(family, drawn_from, 20_000), task_set(0, 5, D)
    ideal = dmmse(xs, ys, tasks, **options(family)), ridge(xs, ys, **options(family))
    losses = [(one - ys).square().mean() for one in ideal]
    assert losses[best] < 0.99 * losses[1 - best]
    for factor in (0.9, 1.1):
        assert losses[best] < (factor * ideal[best] - ys).square().mean()


@every_family
def test_a_mixture_is_the_best_on_its_own(family):
    tasks, fraction = task_set(0, 5, D), 0.3
    of_set, new = (sequences(family, m, 20_000) for m in (5.0, math.inf))

    def loss(weight: float) -> float:
        each = [
            (mixture(*one, tasks, fresh_fractions=[weight], **options(family))[0] - one[1])
            .square().mean().item()
            for one in (of_set, new)
        ]  # fmt: skip
        return (1 - fraction) * each[0] + fraction * each[1]

    assert all(loss(fraction) < loss(other) for other in (0.03, 0.9))


def test_sums_before_a_position_leave_it_out():
    values = torch.tensor([[1.0, 2.0, 4.0]])
    assert sum_before(values).tolist() == [[0.0, 1.0, 3.0]]
