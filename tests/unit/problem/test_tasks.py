"""Data: nested task sets, batches that depend on seed and step alone, the right distributions."""

import math

import pytest
import torch

from transience.problem.tasks import sample_sequences, task_sequence, task_set

SIZES = {"num_examples": 5, "task_dimension": 3, "noise_variance": 0.125}


def sample(*stream, tasks=None, num_sequences=6, seed=0, **sizes):
    return sample_sequences(
        seed, *stream, tasks=tasks, num_sequences=num_sequences, **{**SIZES, **sizes}
    )


@pytest.mark.parametrize("length", [1, 2, 7, 16, 100, 1000])
def test_task_sets_nest_for_any_length(length):
    longest = task_sequence(3, 32768, 8)
    assert torch.equal(task_sequence(3, length, 8), longest[:length])


def test_task_sets_share_the_root_task_and_seeds_do_not():
    assert torch.equal(task_set(0, 1, 4)[0], task_set(0, 64, 4)[0])
    assert not torch.equal(task_set(0, 1, 4), task_set(1, 1, 4))
    assert task_set(0, math.inf, 4) is None


def test_tasks_are_standard_normal():
    tasks = task_sequence(0, 20000, 8)
    assert tasks.mean(dim=0).abs().max() < 5 / math.sqrt(20000)
    assert torch.allclose(torch.cov(tasks.T), torch.eye(8), atol=0.05)


def test_a_batch_is_a_function_of_seed_and_step():
    xs, ys = sample("training", 7)
    sample("training", 8)  # other batches in between change nothing
    again = sample("training", 7)
    assert torch.equal(xs, again[0]) and torch.equal(ys, again[1])
    for other in (sample("training", 8), sample("evaluation", 7), sample("training", 7, seed=1)):
        assert not torch.equal(xs, other[0])


def test_inputs_and_noise_are_the_same_for_every_task_diversity():
    """With noise-free labels removed, what is left of y is the same noise for all M."""
    residuals = []
    for num_tasks in (1, 8, math.inf):
        tasks = task_set(0, num_tasks, 3)
        xs, ys = sample("training", 0, tasks=tasks)
        _, clean = sample("training", 0, tasks=tasks, noise_variance=0.0)
        residuals.append((xs, ys - clean))
    for xs, noise in residuals[1:]:
        assert torch.equal(xs, residuals[0][0])
        assert torch.allclose(noise, residuals[0][1], atol=1e-5)


def test_labels_follow_the_tasks_and_the_noise_variance():
    tasks = task_set(0, 4, 3)
    xs, ys = sample("x", tasks=tasks, num_sequences=4000)
    residuals = ys[:, :, None] - xs @ tasks.T  # B K - B K D @ D M -> B K M
    best = residuals.square().mean(dim=1).argmin(dim=1)
    chosen = residuals[torch.arange(4000), :, best]
    assert chosen.square().mean() == pytest.approx(0.125, rel=0.05)  # a variance, not its root
    counts = torch.bincount(best, minlength=4)
    assert (counts - 1000).abs().max() < 150  # uniform over T_M


def test_gaussian_tasks_have_label_variance_d_plus_noise():
    _, ys = sample("x", num_sequences=20000)
    assert ys.square().mean() == pytest.approx(3 + 0.125, rel=0.05)
