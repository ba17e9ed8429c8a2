"""What the page says: where trainings are, and what to do about them."""

import math
import time

import pytest
from made_up_lines import run_lines

from transience.watch.losses import Losses
from transience.watch.monitor import Monitor
from transience.watch.places import places
from transience.watch.watched import Watched
from transience.watch.words import MOST_LISTED, advice, headline, left, name_of, to_look_at


@pytest.fixture
def runs(tmp_path):
    """M = 4 waits, M = 8 has specialised, M = 16 is learning, M = ∞ was killed."""
    (tmp_path / "runs/baseline/M4_seed0").mkdir(parents=True)
    run_lines(tmp_path, 8.0)
    run_lines(tmp_path, 16.0, variant="wide", steps=range(10, 51, 10))
    run_lines(tmp_path, math.inf, host="elsewhere", time=time.time() - 7200)
    found = [Watched(place) for place in places(tmp_path)]
    for one in found:
        one.look()
    return {one.place.num_tasks: one for one in found}


def test_the_headline_counts(runs):
    assert headline([*runs.values()]) == (
        "2 of 4 running: 1 learning, 1 specialised; 1 waiting; 1 killed"
    )
    assert headline([runs[4.0]]) == "0 of 1 running; 1 waiting"


def test_names_leave_out_what_goes_without_saying(runs):
    names = [name_of(one) for one in runs.values()]
    assert names == ["M = 4, seed 0", "M = 8, seed 0", "wide, M = 16, seed 0", "M = ∞, seed 0"]


def test_advice_says_what_is_and_what_can_be_done(runs):
    assert advice(runs[4.0]) == "It is planned, and has not begun."
    assert advice(runs[8.0]).startswith("Specialised since step ")
    assert advice(runs[16.0]) == "Still learning since step 10."
    told = advice(runs[math.inf])
    assert told.startswith("Killed at step 1,000: silent for 2.0 h, its process is gone.")
    assert "it goes on from its saved state" in told and "logs/train/baseline_Minf" in told


def test_leaving_is_to_be_looked_at_and_the_best_checkpoint_is_named(runs, tmp_path):
    run_lines(tmp_path, 4.0, steps=range(10, 301, 10))
    one = runs[4.0]
    one.look()
    assert advice(one).startswith("General since step ") and to_look_at([one]) == []
    by_step = {0: [4, 4, 4, 0.5], 100: [1, 1, 1, 0.8], 200: [1, 1.2, 1, 0.8]}
    one.tested(Losses(by_step=by_step, ridge=[1] * 3, dmmse=[1] * 3))
    assert "that of step 100 is best on new tasks (loss 1)" in advice(one)
    assert to_look_at([one]) == ["M = 4, seed 0: leaving since step 200."]
    one.tested(Losses(by_step={200: [1, 1, 1, 0.8]}, ridge=[1] * 3, dmmse=[1] * 3))
    assert "is best" not in advice(one)  # as it is the only one known


@pytest.mark.parametrize(
    ("event", "said"),
    [("stopped", "told to stop at step 1,000. Run the sweep again"), ("diverged", "loss too high"),
     ("failed", "Failed at step 1,000: loss too high")],
)  # fmt: skip
def test_what_ended_says_why(runs, event, said):
    one = runs[8.0]
    one.course.events.append({"event": event, "step": 1000, "words": "loss too high"})
    one.look()
    assert one.life == event and said in advice(one)
    assert to_look_at([one]) == [f"M = 8, seed 0: {advice(one)}"]


def test_a_stall_says_how_long(runs):
    one = runs[8.0]
    one.life, one.silence = "stalled", 300.0
    assert advice(one).startswith("Silent for 5.0 min at step 1,000, and nothing says that it died")


def test_a_clock_that_is_ahead_is_noted(runs, tmp_path):
    run_lines(tmp_path, 16.0, variant="wide", host="elsewhere", time=time.time() + 7200)
    one = runs[16.0]
    one.look()
    assert one.life == "running"
    assert "The clock where it runs is 2.0 h ahead of this one." in advice(one)
    assert "clock" not in advice(runs[8.0])


def test_what_cannot_be_read_is_to_be_looked_at(runs):
    runs[8.0].problem = "file: expected lines, found none"
    assert to_look_at([runs[8.0]]) == ["file: expected lines, found none"]


def test_a_long_list_is_cut(runs):
    lines = to_look_at([runs[math.inf]] * 30)
    assert len(lines) == MOST_LISTED + 1 and lines[-1] == "… and 18 more, below."


def test_the_time_left_is_of_runs_that_go_on(runs):
    assert left(runs[8.0]) == "1.7 min"  # 1,000 steps of 0.1 s
    assert left(runs[4.0]) == left(runs[math.inf]) == ""


def test_an_alarm_is_told(runs):
    alarm = {"event": "alarm", "step": 900, "words": "below_ridge", "last_step": 1500}
    runs[8.0].course.events.append(alarm)
    assert advice(runs[8.0]).endswith("Its alarm (below_ridge) was raised at step 900.")


def test_lines_that_are_of_no_use_are_said_to_be(runs, tmp_path):
    one = runs[8.0]
    with one.follower.path.open("a") as file:
        file.write('{"step": 5}\n}{\n')
    one.look()
    said = "2 of its lines are damaged, or of steps told before."
    assert advice(one).endswith(said) and to_look_at([one]) == [f"M = 8, seed 0: {said}"]


def test_what_cannot_be_read_is_not_counted_as_running(runs):
    path = runs[8.0].follower.path
    path.write_text('{"format": 99}\n')
    runs[8.0].look()
    assert headline([*runs.values()]) == (
        "1 of 4 running: 1 learning; 1 waiting; 1 killed; 1 unreadable"
    )
    assert to_look_at([runs[8.0]]) == [runs[8.0].problem]


def test_a_loop_without_a_held_out_loss_is_told_why_it_has_no_phases(tmp_path):
    Monitor(tmp_path / "a.jsonl", every=1)(1, {"training": 1.0, "validation": 2.0})
    (place,) = places(tmp_path)
    one = Watched(place)
    one.look()
    expected = "No phases: its losses (training, validation) have no held-out one, held_out."
    assert advice(one) == expected
