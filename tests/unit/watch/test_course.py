"""What is known of the course of a training, from lines and from tables."""

import math

import numpy as np
import pandas as pd
import pytest
from made_up_lines import log_of

from transience.files.tables import write_table
from transience.training.state import LOG_COLUMNS, SIGNAL_COLUMNS, TRAINING_COLUMNS
from transience.watch.course import Course, of_tables

METADATA = {"variant": "baseline", "num_tasks": "8", "seed": 0}
KEYS = {"variant": "baseline", "num_tasks": 8.0, "seed": 0}


def course(*rows, **header):
    found = Course(header)
    for row in rows:
        found.append(dict(zip(("step", "seconds"), row, strict=True)))
    return found


def test_its_pace_is_that_of_the_last_steps():
    rows = [(10, 100.0), *((10 * i, 100.0 + 5 * i) for i in range(2, 40))]
    found = course(*rows, last_step=1000)
    assert (found.step, found.last_step, found.gap) == (390, 1000, 5.0)
    assert found.pace == pytest.approx(0.5)
    assert found.seconds_left == pytest.approx(305.0)


def test_little_is_known_at_the_begin():
    for found in (course(), course((10, 1.0))):
        assert math.isnan(found.pace) and math.isnan(found.gap) and math.isnan(found.seconds_left)
    assert course(first_step=50).step == 50
    assert math.isnan(course((10, 1.0), (20, 2.0)).seconds_left)  # nobody said how long


def test_an_ending_is_one_that_nothing_has_come_after():
    found = course((10, 1.0))
    assert found.ending == {}
    found.events.append({"event": "stopped", "step": 12})
    assert found.ending["event"] == "stopped" and found.step == 12
    found.append({"step": 20, "seconds": 2.0})
    assert found.ending == {} and found.step == 20
    found.events.append({"event": "resumed", "step": 20})
    assert found.ending == {}


def test_steps_that_descend_are_refused():
    found = course((10, 1.0))
    with pytest.raises(ValueError, match="step 10 after step 10"):
        found.append({"step": 10, "seconds": 2.0})
    assert len(found) == 1


def test_a_training_that_is_over_has_the_same_course(tmp_path):
    log = pd.DataFrame(log_of(8.0, np.arange(10.0, 500, 10)), columns=list(LOG_COLUMNS))
    log["step"] = log["step"].astype(int)
    paths = tmp_path / "training.parquet", tmp_path / "signals.parquet"
    told = log[["step", "batch_loss", *SIGNAL_COLUMNS]].assign(**KEYS)
    write_table(paths[0], "training", log[[*TRAINING_COLUMNS]].assign(**KEYS), METADATA)
    without = of_tables(*paths)
    write_table(paths[1], "signals", told, METADATA)
    found = of_tables(*paths)
    for name in LOG_COLUMNS:
        np.testing.assert_array_equal(found.column(name), log[name])
    assert found.ending["event"] == "finished" and found.last_step == found.step == 490
    assert np.isnan(without.column("projection")).all() and len(without) == len(log)


def test_an_alarm_is_no_ending_but_tells_when_it_will_end():
    found = course((10, 1.0), (20, 2.0), last_step=1000)
    found.events.append({"event": "alarm", "step": 20, "words": "projection", "last_step": 40})
    assert found.ending == {} and found.last_step == 40 and len(found.alarms) == 1
    found.append({"step": 40, "seconds": 4.0})
    found.events.append({"event": "finished", "step": 40})
    assert found.ending["event"] == "finished"


def test_a_training_that_ended_at_an_alarm_says_so(tmp_path):
    log = pd.DataFrame(log_of(8.0, np.arange(10.0, 99, 10)), columns=list(LOG_COLUMNS))
    log["step"] = log["step"].astype(int)
    told = METADATA | {"stopped": {"detector": "projection", "step": 80}}
    path = tmp_path / "training.parquet"
    write_table(path, "training", log[[*TRAINING_COLUMNS]].assign(**KEYS), told)
    found = of_tables(path, tmp_path / "signals.parquet")
    assert found.alarms == [{"event": "alarm", "step": 80, "words": "projection"}]
    assert found.ending["event"] == "finished" and found.last_step == 90
