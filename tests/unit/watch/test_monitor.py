"""Lines of anyone's training."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from transience.errors import InputError
from transience.watch.monitor import Monitor

LIBRARY = Path(__file__).parents[3] / "workflow/lib"


def told(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_comes_every_so_many_steps(tmp_path):
    path = tmp_path / "new/mine.jsonl"
    monitor = Monitor(path, last_step=25, every=10, references={"held_out": 0.5})
    calls = []
    for step in range(1, 26):
        held_out = lambda step=step: calls.append(step) or torch.tensor(step / 2)  # noqa: E731
        monitor(step, {"training": torch.tensor([1.5]), "held_out": held_out}, {"norm": step})
    header, *rows, event = told(path)
    assert header["losses"] == ["training", "held_out"] and header["last_step"] == 25
    assert (header["held_out"], header["references"]) == ("held_out", {"held_out": 0.5})
    assert calls == [row["step"] for row in rows] == [10, 20, 25]
    assert (rows[0]["training"], rows[0]["held_out"], rows[0]["norm"]) == (1.5, 5.0, 10.0)
    assert rows[0]["seconds"] <= rows[1]["seconds"]
    assert (event["event"], event["step"]) == ("finished", 25)


def test_it_begins_anew_or_goes_on_at_a_step(tmp_path):
    path = tmp_path / "mine.jsonl"
    for step in (0, 20):
        monitor = Monitor(path, every=10, step=step)
        for number in range(step + 1, 41):
            monitor(number, {"held_out": float(step)})
    assert [row["held_out"] for row in told(path) if "held_out" in row and "seconds" in row] == [
        *(0, 0, 20, 20)
    ]
    assert told(path)[3]["event"] == "resumed"
    Monitor(path, every=10)(10, {"held_out": 7.0})
    assert len(told(path)) == 2


def test_it_can_say_how_it_ended(tmp_path):
    monitor = Monitor(tmp_path / "a.jsonl", every=1)
    monitor.event("diverged", 3, "too fast")
    event = told(tmp_path / "a.jsonl")[-1]
    assert (event["event"], event["step"], event["words"]) == ("diverged", 3, "too fast")


@pytest.mark.parametrize("wrong", [{"path": "lines.txt"}, {"path": "a.jsonl", "every": 0}])
def test_what_watch_would_not_find_is_refused(wrong):
    with pytest.raises(InputError, match="expected a path that ends in"):
        Monitor(**wrong)


ALONE = """
import sys
for name in ("pandas", "pyarrow", "numpy", "jinja2", "pydantic", "safetensors"):
    sys.modules[name] = None
from transience.watch.monitor import Monitor
monitor = Monitor(sys.argv[1], every=1, last_step=9)
for step in range(1, 4):
    monitor(step, {"held_out": 1.0})
"""


def test_it_needs_nothing_and_what_was_kept_back_is_there_at_the_end(tmp_path):
    path = tmp_path / "a.jsonl"
    words = [sys.executable, "-c", ALONE, str(path)]
    run = subprocess.run(words, env={"PYTHONPATH": str(LIBRARY)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert [row.get("step") for row in told(path)] == [None, 1, 2, 3]


def test_what_is_missing_for_once_is_null_and_what_comes_later_is_told(tmp_path):
    monitor = Monitor(tmp_path / "a.jsonl", every=1)
    monitor(1, {"training": 1.0, "held_out": 2.0})
    monitor(2, {"training": 1.0})
    monitor(3, {"training": 1.0, "held_out": None}, {"norm": 5.0})
    _, first, second, third = told(tmp_path / "a.jsonl")
    assert (first["held_out"], second["held_out"], third["held_out"]) == (2.0, None, None)
    assert "norm" not in second and third["norm"] == 5.0


@pytest.mark.parametrize(
    ("losses", "indicators", "found"),
    [
        ({"step": 1.0}, {}, "'step'"),
        ({"a": 1.0}, {"seconds": 1.0}, "'seconds'"),
        ({"a": 1.0}, {"time": 1.0}, "'time'"),
        ({"event": 1.0}, {}, "'event'"),
        ({"a": 1.0}, {"a": 2.0}, "'a'"),
        ({0: 1.0}, {}, "0"),
    ],
)
def test_names_that_would_take_the_place_of_others_are_refused(tmp_path, losses, indicators, found):
    monitor = Monitor(tmp_path / "a.jsonl", every=1)
    with pytest.raises(InputError, match=f"each once and none of step, .*; found {found}$"):
        monitor(1, losses, indicators)


def test_numbers_may_be_of_any_kind(tmp_path):
    kinds = {"last_step": np.int64(2), "references": {"held_out": np.float32(0.5)}}
    monitor = Monitor(tmp_path / "a.jsonl", every=1, **kinds)
    for step in (1, 2):
        monitor(np.int64(step), {"held_out": np.float32(1.0)})
    monitor.event("failed", np.int64(2), ValueError("why"))
    header, _, _, finished, failed = told(tmp_path / "a.jsonl")
    assert (header["last_step"], header["references"]) == (2, {"held_out": 0.5})
    assert (finished["step"], failed["step"], failed["words"]) == (2, 2, "why")


def test_a_reference_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected numbers as references; found none of a"):
        Monitor(tmp_path / "a.jsonl", references={"a": float("nan")})


def test_a_place_that_cannot_be_written_stops_no_loop(tmp_path, capsys):
    (tmp_path / "a.jsonl").mkdir()
    monitor = Monitor(tmp_path / "a.jsonl", every=1, last_step=2)
    for step in (1, 2):
        monitor(step, {"held_out": 1.0})
    assert capsys.readouterr().err == f"{monitor.path}: no more lines, Is a directory\n"
