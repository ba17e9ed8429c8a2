"""What is kept is written when it is there, and nothing is gone on with that is not whole."""

from collections.abc import Iterator

import pytest
import torch
from small import small_run

from transience.files.checkpoints import CheckpointReader, CheckpointWriter
from transience.model.transformer import initial_parameters
from transience.training.kept import Kept

CPU, RUN = torch.device("cpu"), small_run()
STEPS = [0, 2, 5], [2]


def kept(folder) -> Kept:
    return Kept.of(folder, RUN, STEPS, {})


@pytest.fixture
def begun(monkeypatch) -> Iterator[None]:
    """Closes the files of whatever the test began, as the end of a process does."""
    writers, made = [], CheckpointWriter.__init__

    def init(writer, *rest):
        made(writer, *rest)
        writers.append(writer)

    monkeypatch.setattr(CheckpointWriter, "__init__", init)
    yield
    for writer in writers:
        writer.file.close()


pytestmark = pytest.mark.usefixtures("begun")


def trained(folder) -> Kept:
    """Up to step 3, saved there."""
    one = kept(folder)
    state = one.state(RUN, CPU, None)
    for step in (1, 2, 3):
        state.step = step
        state.vector += 1
        state.first_moment += 2
        one.checkpoint(state)
    one.save(state)
    return one


def test_rows_are_those_of_their_steps(tmp_path):
    one = trained(tmp_path)
    for writer, name in ((one.checkpoints, "c"), (one.states, "s")):
        writer.finish(tmp_path / name)
    checkpoints, states = (CheckpointReader(tmp_path / name) for name in "cs")
    start = initial_parameters(RUN.architecture, RUN.seed)
    assert torch.equal(checkpoints.parameters(0), start)
    assert torch.equal(checkpoints.parameters(1), start + 1 + 1)
    first, second = states.parameters(0).chunk(2)
    assert (first == 4).all() and (second == 0).all()
    assert states.steps == [2]


def test_it_goes_on_with_what_is_there(tmp_path, capsys):
    trained(tmp_path)
    assert kept(tmp_path).state(RUN, CPU, None).step == 3
    assert "resuming at step 3" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["checkpoints.partial", "states.partial", "state.safetensors"])
def test_without_one_of_its_files_it_begins_again(tmp_path, name):
    trained(tmp_path)
    (tmp_path / name).unlink()
    assert kept(tmp_path).state(RUN, CPU, None).step == 0
