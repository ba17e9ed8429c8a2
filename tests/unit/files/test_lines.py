"""Lines of a training: whole, by one writer, cut at the step from which it goes on."""

import json
import math
import os
import socket

import pytest

from transience.files import lines
from transience.files.lines import FORMAT, LineWriter, parsed

COLUMNS = ("step", "loss", "noise")
ABOUT = {"variant": "baseline", "num_tasks": "inf", "seed": 0, "last_step": 100}
LOG = [(10, 3.0, math.nan), (20, 2.5, 0.1), (30, 2.0, math.inf)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(lines, "AT_MOST_EVERY", 0)


def begun(path, step=0, log=(), about=ABOUT):
    return LineWriter(path, COLUMNS, about, step=step, log=log)


def told(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def steps(path):
    return [line["step"] for line in told(path)[1:] if "event" not in line]


@pytest.fixture
def path(tmp_path):
    """A file with the header and all of the log."""
    path = tmp_path / "new" / lines.NAME
    begun(path).follow(LOG)
    return path


def test_the_header_comes_first_and_then_a_line_a_row(path):
    header, *rows = told(path)
    life = {"host": socket.gethostname(), "pid": os.getpid()}
    assert header.pop("time") > 1e9
    assert header == {"format": FORMAT, **ABOUT, **life}
    assert all(row.pop("time") >= told(path)[0]["time"] for row in rows)
    assert rows == [
        {"step": 10, "loss": 3.0, "noise": None},
        {"step": 20, "loss": 2.5, "noise": 0.1},
        {"step": 30, "loss": 2.0, "noise": None},
    ]


def test_numbers_are_those_of_the_log(tmp_path):
    begun(tmp_path / "l", log=[(1.0, 0.1 + 0.2, 1e-300)])
    row = told(tmp_path / "l")[1]
    assert (row["step"], row["loss"], row["noise"]) == (1, 0.1 + 0.2, 1e-300)
    assert type(row["step"]) is int


def test_a_log_that_grows_is_followed(tmp_path):
    writer = begun(tmp_path / "l")
    for length in (1, 1, 3):
        writer.follow(LOG[:length])
        assert steps(tmp_path / "l") == [10, 20, 30][:length]


def test_fast_steps_are_appended_together(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "AT_MOST_EVERY", 3600)
    writer = begun(tmp_path / "l")
    writer.follow(LOG[:2])
    assert steps(tmp_path / "l") == []
    writer.event("stopped", 25)
    assert [line["step"] for line in told(tmp_path / "l")[1:]] == [10, 20, 25]


def test_a_restored_training_cuts_what_is_above_its_step(path):
    begun(path, step=20, log=LOG[:2]).follow([*LOG[:2], (30, 9.0, 9.0)])
    _, *others, event, last = told(path)
    assert [line["step"] for line in others] == [10, 20]
    assert (event["event"], event["step"], event["pid"]) == ("resumed", 20, os.getpid())
    assert last["loss"] == 9.0


def test_events_up_to_the_step_stay(path):
    begun(path, step=30, log=LOG).event("stopped", 30)
    begun(path, step=30, log=LOG)
    assert [line.get("event") for line in told(path)[4:]] == ["resumed", "stopped", "resumed"]


def test_a_training_that_begins_again_keeps_the_header_alone(path):
    header = told(path)[0]
    begun(path)
    first, event = told(path)
    assert first == header and (event["event"], event["step"]) == ("resumed", 0)


@pytest.mark.parametrize("damage", [b'{"step": 20, "lo', b"\x00" * 40, b"\xff\xfe\n", b"[1]\n"])
def test_lines_lost_with_the_machine_are_added_from_the_log(path, damage):
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:2]) + damage)
    begun(path, step=30, log=LOG)
    assert steps(path) == [10, 20, 30]
    assert [line["time"] is None for line in told(path)[1:4]] == [False, True, True]


@pytest.mark.parametrize("header", [b"", b"{}\n", b'{"format": 0}\n', b"no json\n", b"half"])
def test_a_file_that_is_no_file_of_lines_begins_anew(path, header):
    path.write_bytes(header + path.read_bytes().split(b"\n", 1)[1])
    begun(path, step=20, log=LOG[:2])
    assert told(path)[0]["format"] == FORMAT and steps(path) == [10, 20]


def test_lines_of_another_training_begin_anew(path):
    begun(path, step=20, log=LOG[:2], about=ABOUT | {"last_step": 200})
    assert told(path)[0]["last_step"] == 200
    assert not any("event" in line for line in told(path))


def test_rows_of_a_parent_come_first(tmp_path):
    begun(tmp_path / "l", step=30, log=LOG).follow([*LOG, (40, 1.0, 1.0)])
    assert steps(tmp_path / "l") == [10, 20, 30, 40]


def test_what_cannot_be_appended_stops_nothing_and_is_told_once(path, capsys):
    writer = begun(path, step=30, log=LOG)
    path.unlink()
    writer.follow([*LOG, (40, 1.0, 1.0)])
    writer.event("stopped", 40)
    assert not path.exists()  # not without its header
    assert capsys.readouterr().err == f"{path}: no more lines, No such file or directory\n"


def test_after_a_full_disk_no_line_is_joined_to_a_half(path, monkeypatch, capsys):
    writer = begun(path, step=30, log=LOG)
    at_once = os.fdopen

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            return self.file.write(data[:5])

    with monkeypatch.context() as full:
        full.setattr(os, "fdopen", lambda *words, **more: Full(at_once(*words, **more)))
        writer.follow([*LOG, (40, 1.0, 1.0)])
    cut = path.read_bytes()
    writer.event("stopped", 40)
    assert path.read_bytes() == cut and not cut.endswith(b"\n")
    assert capsys.readouterr().err == f"{path}: no more lines, No space left on device\n"


def test_a_line_that_is_cut_off_or_none_of_ours_says_nothing():
    assert parsed(b'{"step": 1}\n') == {"step": 1}
    for line in (b'{"step": 1}', b'{"step": 1\n', b"1\n", b"\xff\n", b""):
        assert parsed(line) is None


def test_two_that_write_to_one_file_leave_the_lines_of_the_later(tmp_path, capsys):
    path = tmp_path / "l"
    first = begun(path)
    first.follow(LOG[:1])
    second = begun(path, about=ABOUT | {"seed": 1})
    second.follow(LOG[:2])
    first.follow(LOG)
    first.event("stopped", 30)
    second.follow(LOG)
    assert told(path)[0]["seed"] == 1 and steps(path) == [10, 20, 30]
    assert capsys.readouterr().err == f"{path}: no more lines, another training writes to it\n"


def test_a_file_that_cannot_be_begun_stops_nothing_and_is_told_once(tmp_path, capsys):
    (tmp_path / "l").mkdir()
    writer = begun(tmp_path / "l")
    writer.follow(LOG)
    writer.event("finished", 30)
    assert capsys.readouterr().err == f"{tmp_path / 'l'}: no more lines, Is a directory\n"


@pytest.mark.parametrize("line", ['{"step": "20"}', '{"step": null}', "[" * 100_000])
def test_a_damaged_step_ends_what_is_kept_at_a_resumption(path, line):
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*whole[:2], line + "\n", *whole[2:]]))
    begun(path, step=30, log=LOG)
    assert steps(path) == [10, 20, 30]
