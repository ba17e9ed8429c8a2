"""A trained model opened from its files predicts what it did when it was saved."""

from pathlib import Path

import pytest
import torch
from small import small_run, write_checkpoints

from transience.errors import InputError
from transience.model.transformer import initial_parameters, predict, unflatten
from transience.trained import open_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_checkpoints(tmp_path / "checkpoints.safetensors", small_run(), [0, 7, 40])
    return tmp_path


def test_it_is_the_run_that_was_saved(folder):
    trained = open_run(folder)
    assert trained.run == small_run()
    assert trained.checkpoints.steps == [0, 7, 40]


def test_it_predicts_with_the_weights_of_the_step(folder):
    trained, run = open_run(folder), small_run()
    xs, ys = trained.run.sequences("a test", num_sequences=5)
    weights = unflatten(initial_parameters(run.architecture, 7), run.architecture)
    expected = predict(weights, xs, ys, run.architecture)
    assert torch.allclose(trained.predict(xs, ys, step=7), expected, atol=1e-5)
    assert not torch.allclose(trained.predict(xs, ys, step=40), expected, atol=1e-2)


def test_a_step_without_a_checkpoint_is_told_with_the_nearest(folder):
    with pytest.raises(InputError, match=r"found 9; the nearest is 7$"):
        open_run(folder).predict(torch.zeros(1, 3, 2), torch.zeros(1, 3), step=9)


def test_a_folder_without_checkpoints_is_told(tmp_path):
    with pytest.raises(InputError, match="expected a checkpoint file, found no such file"):
        open_run(tmp_path)
