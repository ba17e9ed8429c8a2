"""Lines of anyone's training."""

import json
import subprocess
import sys
from pathlib import Path

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
