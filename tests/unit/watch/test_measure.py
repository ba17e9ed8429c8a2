"""Losses measured while a run trains are those that an evaluation would find."""

import json

import numpy as np
import pytest
from small import small_run, write_checkpoints

from transience.evaluation.evaluate import evaluate, evaluation_sets
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files.checkpoints import CheckpointReader
from transience.model.loss_and_gradient import LossAndGradient
from transience.watch.measure import Measurer
from transience.watch.rows import Rows

STEPS = [0, 3, 9, 12]
SIZE = 16


@pytest.fixture
def rows(tmp_path):
    write_checkpoints(tmp_path / "c.safetensors", small_run(), STEPS, created="today")
    return Rows(tmp_path / "c.safetensors")


@pytest.fixture
def measurer(tmp_path):
    return Measurer(SIZE, tmp_path / "own" / "losses.json")


def expected(rows):
    """Losses (C, 3) and relative distances (C,), as an evaluation on sets of this size has them."""
    run, reader = small_run(), CheckpointReader(rows.path)
    sets = evaluation_sets(
        run, EvaluationSettings(num_sequences=SIZE), ProbeSettings(num_sequences=1)
    )
    vectors = [reader.parameters(index) for index in range(len(reader))]
    found = evaluate(vectors, sets, LossAndGradient(run.architecture).predict)[0].mean(-1)
    return found[:, :, 0], found[:, 0, 1] / (found[:, 0, 1] + found[:, 0, 2]), sets


def test_measured_losses_are_those_of_an_evaluation(rows, measurer):
    assert measurer.work([("a", rows, 12)], 60.0) == {"a"}
    known = measurer.of("a", rows)
    steps, values = known.columns()
    losses, relative, sets = expected(rows)
    assert steps.tolist() == STEPS
    np.testing.assert_allclose(values[:, :3], losses)
    np.testing.assert_allclose(values[:, 3], relative)
    ridge = [
        (one.ridge - one.ys).square().mean().item() for one in (sets["training"], sets["root"])
    ]
    np.testing.assert_allclose([known.ridge[0], known.ridge[2]], ridge, rtol=1e-5)
    assert len(known.dmmse) == 3
    assert measurer.work([("a", rows, 12)], 60.0) == set()  # nothing is new


def test_tasks_that_wander_are_those_of_the_step(tmp_path, measurer):
    plain, drifting = (tmp_path / f"{name}.safetensors" for name in ("plain", "drifting"))
    write_checkpoints(plain, small_run(), STEPS)
    write_checkpoints(drifting, small_run(), STEPS, drift=[[2, 8, 0.5]])
    runs = [(path.stem, Rows(path), 12) for path in (plain, drifting)]
    measurer.work(runs, 60.0)
    a, b = (measurer.of(name, rows).by_step for name, rows, _ in runs)
    assert a[0] == b[0] and a[9][0] != b[9][0] and a[9][1] == b[9][1]


def test_the_latest_checkpoints_come_first_and_run_by_run(rows, measurer, monkeypatch):
    order = []
    monkeypatch.setattr(
        Measurer, "_measure", lambda self, name, rows, index: order.append((name, index)) or True
    )
    measurer.work([("a", rows, 12), ("b", rows, 5)], 60.0)
    assert order == [("a", 3), ("b", 1), ("a", 2), ("b", 0), ("a", 1), ("a", 0)]


def test_no_more_time_is_spent_than_is_given(rows, measurer, monkeypatch):
    now, order = [0.0], []
    monkeypatch.setattr("transience.watch.measure.time.process_time", lambda: now[0])

    def measure(self, name, rows, index):
        now[0] += 1.0
        order.append(index)
        return True

    monkeypatch.setattr(Measurer, "_measure", measure)
    measurer.work([("a", rows, 12)], 1.5)
    assert order == [3, 2]
    measurer.work([("a", rows, 12)], 0.0)
    assert order == [3, 2]


def test_only_checkpoints_that_are_surely_there(rows, measurer):
    raw = bytearray(rows.path.read_bytes())
    start = rows.start + rows.first
    raw[start : start + 4 * rows.size] = bytes(4 * rows.size)  # the first was not written yet
    rows.path.write_bytes(raw)
    measurer.work([("a", rows, 9)], 60.0)
    assert sorted(measurer.of("a", rows).by_step) == [3, 9]
    rows.path.unlink()  # moved away meanwhile
    assert measurer.work([("a", rows, 12)], 60.0) == set()


def test_what_was_measured_is_known_to_the_next_watch(rows, measurer, monkeypatch):
    measurer.work([("a", rows, 12)], 60.0)
    again = Measurer(SIZE, measurer.path)
    assert again.of("a", rows) == measurer.of("a", rows)
    assert Measurer(SIZE + 1, measurer.path).of("a", rows).by_step == {}
    rows.metadata["created"] = "later"  # trained anew
    assert again.of("a", rows).by_step == {}


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 1}', '{"a": {"what": 1}}'])
def test_damage_is_measured_again(rows, measurer, damage):
    measurer.path.parent.mkdir()
    measurer.path.write_text(damage)
    again = Measurer(SIZE, measurer.path)
    assert again.work([("a", rows, 12)], 60.0) == {"a"}
    assert [*json.loads(measurer.path.read_text())] == ["a"]


@pytest.mark.parametrize("damage", [{"settings": {}}, {"settings": None}, {"num_tasks": "many"}])
def test_checkpoints_of_another_version_are_left_and_the_others_measured(rows, measurer, damage):
    other = Rows(rows.path)
    other.metadata = other.metadata | damage
    assert measurer.work([("other", other, 12), ("a", rows, 12)], 60.0) == {"a"}
    problem = measurer.of("other", other).problem
    assert problem.startswith(f"{rows.path}: expected checkpoints of this version, found ")
    assert "\n" not in problem and not measurer.of("a", rows).problem


def test_checkpoints_of_another_size_are_left(rows, measurer):
    rows.size -= 1
    assert measurer.work([("a", rows, 12)], 60.0) == set()
    assert "parameters instead of" in measurer.of("a", rows).problem


@pytest.mark.parametrize("damage", [{"by_step": {"3": [1.0]}}, {"ridge": ["low"]}])
def test_damage_of_what_was_kept_is_measured_again(rows, measurer, damage):
    measurer.work([("a", rows, 12)], 60.0)
    kept = json.loads(measurer.path.read_text())
    measurer.path.write_text(json.dumps({"a": kept["a"] | damage}))
    again = Measurer(SIZE, measurer.path)
    assert again.work([("a", rows, 12)], 60.0) == {"a"}
