"""The command: one page and out, a watch until it is told, and what it makes of bad input."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from made_up_lines import run_lines

from transience.watch.__main__ import Watch, _go_on
from transience.watch.page import Page

LIBRARY = Path(__file__).parents[3] / "workflow/lib"


def started(*words):
    command = [sys.executable, "-m", "transience.watch", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_one_page_and_out_and_nothing_else_is_written(tmp_path):
    run_lines(tmp_path)
    before = files(tmp_path)
    process = started(tmp_path, "--once")
    said, errors = process.communicate(timeout=60)
    page = tmp_path / "watch/watch.html"
    assert (process.returncode, said, errors) == (0, f"Page: {page}\n", "")
    assert files(tmp_path).keys() - before.keys() == {page}
    assert before.items() <= files(tmp_path).items()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_follows_until_it_is_told_to_end(tmp_path, number):
    run_lines(tmp_path, steps=range(10, 101, 10))
    page = tmp_path / "elsewhere/watch.html"
    process = started(tmp_path, "--every", 0.1, "--out", page.parent)
    assert process.stdout.readline() == f"Page: {page} (Ctrl-C ends the watch)\n"
    run_lines(tmp_path, steps=range(10, 201, 10))
    end = time.monotonic() + 60
    while '"step":200' not in page.read_text():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (0, "The watch has ended.\n", "")
    assert '"live":false' in page.read_text() and not (tmp_path / "watch").exists()


def test_it_ends_when_all_trainings_are_over(tmp_path):
    path = run_lines(tmp_path)
    with path.open("a") as file:
        file.write('{"event": "diverged", "step": 1000, "time": 1, "words": "too fast"}\n')
    process = started(tmp_path)
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert said.endswith("All trainings are over.\n")
    assert "1 diverged" in (tmp_path / "watch/watch.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "expected the results of a sweep, found no such folder"),
        (["."], "found neither"),
        (["runs/..", "--budget", "0"], "expected --every and --budget above 0"),
        (["runs/..", "--every", "inf"], "found inf, 2, 256"),
        (["runs/..", "--every", "1e10"], "above 0, at most 86,400"),
        (["runs/..", "--out", "file"], "expected a folder to write the page to"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    if words[0] == "runs/..":
        (tmp_path / "runs/baseline/M8_seed0").mkdir(parents=True)
    process = started(*words, "--once")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("error: ") and errors.count("\n") == 1 and said in errors


def test_a_page_that_cannot_be_written_for_once_does_not_end_the_watch(
    tmp_path, monkeypatch, capsys
):
    run_lines(tmp_path)
    page, told = Page(tmp_path / "watch/watch.html", "small"), threading.Event()
    watch, at_once, times = Watch(tmp_path, page, None, None), Page.write, []

    def write(self, *words, **more):
        times.append(len(times))
        if len(times) == 2:
            raise OSError(28, "No space left on device", "watch.html")
        if len(times) == 3:
            told.set()
        at_once(self, *words, **more)

    monkeypatch.setattr(Page, "write", write)
    _go_on(watch, told, once=False, every=0.01, share=100.0)
    assert times == [0, 1, 2, 3]
    assert "no page this time" in capsys.readouterr().err


def test_a_look_that_costs_much_is_paid_for_with_a_pause(tmp_path, monkeypatch):
    run_lines(tmp_path)
    page, pauses, now = Page(tmp_path / "watch/watch.html", "small"), [], [0.0]
    watch, at_once = Watch(tmp_path, page, None, None), Watch.look

    def look(self):
        now[0] += 0.5
        at_once(self)

    class Told:
        def is_set(self):
            return True

        def wait(self, seconds):
            pauses.append(seconds)
            return len(pauses) == 3

    monkeypatch.setattr(Watch, "look", look)
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    _go_on(watch, Told(), once=False, every=10.0, share=0.02)
    assert pauses == [10.0, 25.0, 25.0]


def test_a_sweep_of_which_nothing_is_there_yet_is_not_over(tmp_path):
    (tmp_path / "runs").mkdir()
    watch = Watch(tmp_path, Page(tmp_path / "watch/watch.html", "small"), None, None)
    watch.look()
    assert not watch.over and not watch.running
    run_lines(tmp_path)
    watch.look()
    assert watch.running == 1
