"""Where the files of a training are."""

import os

from made_up_lines import run_lines

from transience.watch.place import Place
from transience.watch.places import places


def test_of_several_states_the_one_last_written_to_counts(tmp_path):
    new = run_lines(tmp_path)
    old = new.parents[1] / "ffff" / new.name
    old.parent.mkdir()
    old.write_bytes(new.read_bytes())
    os.utime(old, (1, 1))
    (place,) = places(tmp_path)
    assert place.lines() == new
    os.utime(new, (0, 0))
    assert place.lines() == old


def test_anyones_training_is_one_file(tmp_path):
    assert Place("mine", own_lines=tmp_path / "mine.jsonl").lines() == tmp_path / "mine.jsonl"
