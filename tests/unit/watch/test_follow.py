"""Lines followed while they are written, cut and damaged."""

import json
import os

import numpy as np
import pytest

from transience.files.lines import LineWriter
from transience.watch import follow
from transience.watch.follow import Follower

ROWS = [(10, 3.0), (20, 2.5), (30, float("nan")), (40, 1.5)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lines.jsonl"


def writer(path, **more):
    return LineWriter(path, ("step", "loss"), {"last_step": 100}, **more)


def damage(path, number, line):
    """Put a line where one of the file is, before it."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:number], line + "\n", *lines[number:]]))


def steps(follower):
    return follower.course.column("step").tolist()


def test_only_what_is_new_is_read(path, monkeypatch):
    one, follower = writer(path), Follower(path)
    taken, at_once = [], Follower._take

    def take(self, line):
        taken.append(line)
        at_once(self, line)

    monkeypatch.setattr(Follower, "_take", take)
    assert follower.look() and steps(follower) == []
    for count in (1, 2, 4):
        one.follow(ROWS[:count])
        assert follower.look() and steps(follower) == [10, 20, 30, 40][:count]
    assert not follower.look()
    assert len(taken) == 5  # the header, and each row once
    np.testing.assert_array_equal(follower.course.column("loss"), [3.0, 2.5, np.nan, 1.5])


def test_a_half_written_line_waits_for_its_end(path):
    writer(path).follow(ROWS[:2])
    whole = path.read_bytes()
    follower = Follower(path)
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        follower.look()
        assert follower.course.odd_lines == 0 and not follower.course.problem
    assert steps(follower) == [10, 20]


def test_a_training_that_resumes_is_followed_over_the_cut(path):
    writer(path).follow(ROWS)
    follower = Follower(path)
    follower.look()
    again = writer(path, step=20, log=ROWS[:2])
    again.follow([*ROWS[:2], (30, 7.0)])
    assert follower.look() and steps(follower) == [10, 20, 30]
    assert follower.course.column("loss")[-1] == 7.0
    assert [event["event"] for event in follower.course.events] == ["resumed"]


def test_a_cut_is_seen_even_if_the_file_has_grown_beyond_it(path):
    writer(path).follow(ROWS[:3])
    follower = Follower(path)
    follower.look()
    writer(path, step=10, log=ROWS[:1]).follow([*ROWS[:1], (20, 9.0), (30, 9.0), (40, 9.0)])
    assert path.stat().st_size > follower.offset
    assert follower.look() and follower.course.column("loss").tolist() == [3.0, 9.0, 9.0, 9.0]


def test_a_file_that_shrinks_or_is_another_is_read_anew(path):
    writer(path).follow(ROWS)
    follower = Follower(path)
    follower.look()
    path.unlink()
    writer(path).follow(ROWS[:1])
    assert follower.look() and steps(follower) == [10]


@pytest.mark.parametrize(
    "line",
    [
        *("{", "[]", "null", '"', '{"a": 1}', '{"step": 15, "loss": "low"}', '{"step": 5}'),
        *('{"step": null}', '{"step": NaN}', '{"step": 1e400}', '{"step": 1e300}', "[" * 100_000),
        f'{{"step": 15, "loss": {"9" * 400}}}',
        *('{"event": "stopped", "step": "15"}', '{"event": "stopped", "step": null}'),
        *('{"event": "stopped"}', '{"event": 7, "step": 15}'),
        '{"event": "alarm", "step": 15, "last_step": "late"}',
    ],
)
def test_a_line_that_says_nothing_is_left_out_and_counted(path, line):
    writer(path).follow(ROWS[:2])
    damage(path, 2, line)
    follower = Follower(path)
    follower.look()
    assert (steps(follower), follower.course.odd_lines) == ([10, 20], 1)
    assert len(follower.course.column("loss")) == 2 and not follower.course.problem


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"format": 99}, "expected lines of format 1, found format 99; watch it with the version"),
        ({"format": 0}, "found format 0"),
        ({"steps": 3}, "expected lines of a training, found another file"),
        (
            {"format": 1, "last_step": "many"},
            "expected a number of steps as last_step in its header",
        ),
        ({"format": 1, "first_step": [0]}, "found [0]"),
        ({"format": 1, "held_out": ["loss"]}, "expected a name as held_out"),
        ({"format": 1, "losses": 5}, "expected a list of names as losses"),
        ({"format": 1, "losses": [["a"]]}, "expected a list of names as losses"),
        ({"format": 1, "references": [1]}, "expected numbers by name as references"),
        ({"format": 1, "references": {"loss": "low"}}, "expected numbers by name as references"),
    ],
)
def test_a_file_of_another_format_is_a_problem_in_a_line(path, header, said):
    path.write_text(json.dumps(header) + '\n{"step": 1}\n')
    follower = Follower(path)
    follower.look()
    assert said in follower.course.problem and "\n" not in follower.course.problem
    assert steps(follower) == []
    path.unlink()
    writer(path).follow(ROWS)  # mended
    assert follower.look() and not follower.course.problem and len(follower.course) == 4


def test_a_large_file_without_lines_is_not_read_to_its_end(path, monkeypatch):
    monkeypatch.setattr(follow, "MOST", 1000)
    path.write_bytes(b"\x00" * 5000)
    follower = Follower(path)
    follower.look()
    assert "found a file without" in follower.course.problem and follower.offset == 0


def test_a_file_larger_than_what_is_read_at_once(path, monkeypatch):
    monkeypatch.setattr(follow, "MOST", 300)
    writer(path).follow([(step, 1.0) for step in range(1, 100)])
    follower = Follower(path)
    follower.look()
    assert steps(follower) == [*range(1, 100)]


def test_a_file_that_may_not_be_read_is_a_problem_until_it_may(path, monkeypatch):
    writer(path).follow(ROWS)
    follower = Follower(path)

    def refuse(*_, **__):
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as refused:
        refused.setattr("pathlib.Path.open", refuse)
        assert not follower.look()
    assert follower.course.problem == f"{path}: Permission denied"
    assert follower.look() and not follower.course.problem and len(follower.course) == 4


def test_values_that_come_later_are_missing_before(path):
    writer(path).follow(ROWS[:1])
    with path.open("a") as file:
        file.write('{"step": 20, "accuracy": 0.5, "time": 1}\n')
    follower = Follower(path)
    follower.look()
    np.testing.assert_array_equal(follower.course.column("accuracy"), [np.nan, 0.5])
    np.testing.assert_array_equal(follower.course.column("loss"), [3.0, np.nan])


# Many lines at once


LOG = [(step, 1 / step if step % 7 else float("nan")) for step in range(1, 500)]


def both(path, monkeypatch):
    """Courses read in columns and line by line."""
    courses = []
    for many in (2, 10**9):
        monkeypatch.setattr(follow, "MANY", many)
        follower = Follower(path)
        follower.look()
        courses.append(follower.course)
    return courses


def same(one, other):
    assert one.values.keys() == other.values.keys()
    for name in one.values:
        np.testing.assert_array_equal(one.column(name), other.column(name))
    assert (one.events, one.sign, one.header, one.odd_lines) == (
        *(other.events, other.sign, other.header, other.odd_lines),
    )


def test_many_lines_say_the_same_as_each(path, monkeypatch):
    writer(path).add(LOG[:200])
    writer(path, step=100, log=LOG[:100]).add(LOG[100:])
    one, other = both(path, monkeypatch)
    assert len(one) == len(LOG) and one.events[0]["event"] == "resumed"
    same(one, other)


@pytest.mark.parametrize(
    "line",
    [
        *("{", "[]", "null", '{"step": 600, "loss": "low"}', '{"step": 5, "loss": 1}', ""),
        '{"step": null, "loss": 1}',
    ],
)
def test_damage_among_many_is_left_out_alone(path, monkeypatch, line):
    writer(path).add(LOG)
    damage(path, 301, line)
    one, other = both(path, monkeypatch)
    assert (len(one), one.odd_lines) == (len(LOG), 1)
    same(one, other)


def test_a_column_that_is_always_missing(path, monkeypatch):
    writer(path).add([(step, float("nan")) for step in range(1, 300)])
    same(*both(path, monkeypatch))
