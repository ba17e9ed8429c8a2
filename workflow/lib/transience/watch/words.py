"""What a page says of trainings: where they are, what to look at, what to do about it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence

from transience.command.progress import duration
from transience.problem.diversity import symbol
from transience.watch.life import ALIVE
from transience.watch.phases import PHASES
from transience.watch.watched import Watched

TROUBLES = ("diverged", "failed", "killed", "stalled", "stopped")
MOST_LISTED = 12
STOP = " To keep a general model, stop it."
AHEAD = 60.0  # seconds by which another clock may differ


def name_of(one: Watched) -> str:
    """A training as a reader knows it."""
    place = one.place
    if place.num_tasks is None:
        return place.name
    variant = "" if place.variant == "baseline" else f"{place.variant}, "
    return f"{variant}M = {symbol(place.num_tasks)}, seed {place.seed}"


def headline(runs: Sequence[Watched]) -> str:
    """How many are where: `3 of 26 run: 1 general, 2 leaving`."""
    alive = [one for one in runs if one.life in ALIVE and not one.problem]
    lives = Counter("unreadable" if one.problem else one.life for one in runs)
    phases = Counter(one.phase or "no phase yet" for one in alive)
    order = [name for name in (*PHASES, "no phase yet") if phases[name]]
    going = ", ".join(f"{phases[name]} {name}" for name in order)
    first = f"{len(alive)} of {len(runs)} running" + (f": {going}" if going else "")
    others = [
        name
        for name in ("waiting", *TROUBLES[:3], "stopped", "unreadable", "finished")
        if lives[name]
    ]
    return "; ".join([first, *(f"{lives[name]} {name}" for name in others)])


def to_look_at(runs: Sequence[Watched]) -> list[str]:
    """What wants a look, in a line each: what went wrong, then what leaves its general phase."""
    wrong = [f"{name_of(one)}: {advice(one)}" for one in runs if one.life in TROUBLES]
    wrong += [one.problem for one in runs if one.problem and one.life not in TROUBLES]
    quiet = [one for one in runs if not one.problem and one.life not in TROUBLES]
    wrong += [f"{name_of(one)}: {damage}" for one in quiet if (damage := _of_damage(one))]
    leaving = [
        f"{name_of(one)}: leaving since step {one.since:,}."
        for one in runs
        if one.life in ALIVE and one.phase == "leaving"
    ]
    lines = [*wrong, *leaving]
    more = [f"… and {len(lines) - MOST_LISTED} more, below."] if len(lines) > MOST_LISTED else []
    return lines[:MOST_LISTED] + more


def advice(one: Watched) -> str:
    """What a training's state means, and what can be done, in a sentence or three."""
    told = _of_life(one) if one.life not in ("running", "finished") else _of_phase(one)
    return " ".join(filter(None, [told, _of_alarm(one), _of_clock(one), _of_damage(one)]))


def _of_life(one: Watched) -> str:
    if one.course is None:
        return "It is planned, and has not begun."
    at, event = f"at step {one.course.step:,}", one.course.ending
    again = "" if one.place.own_lines else " Run the sweep again: it goes on from its saved state."
    log = f" Its log is {one.place.log}." if one.place.log else ""
    if one.life == "stalled":
        return (
            f"Silent for {duration(one.silence)} {at}, and nothing says that it died: look whether "
            f"it still works.{log}"
        )
    if one.life == "killed":
        return f"Killed {at}: silent for {duration(one.silence)}, its process is gone.{again}{log}"
    if one.life == "stopped":
        return f"It was told to stop {at}.{again}"
    return f"{one.life.capitalize()} {at}: {event.get('words', 'no word why')}{log}"


def _of_phase(one: Watched) -> str:
    if not one.phase:
        return _of_no_phase(one) if one.life == "running" else ""
    begun = f"since step {one.since:,}"
    best, over = _best(one), one.life == "finished"
    return {
        "learning": f"Still learning {begun}.",
        "general": f"General {begun}{'' if over else ': nothing says that it leaves'}.",
        "leaving": f"Leaving its general phase {begun}.{best}{'' if over else STOP}",
        "specialised": f"Specialised {begun}.{best}",
    }[one.phase]


def _of_no_phase(one: Watched) -> str:
    header = one.course.header
    if one.place.own_lines and header.get("held_out") not in (names := header.get("losses") or []):
        listed = ", ".join(names) or "none"
        return f"No phases: its losses ({listed}) have no held-out one, {header.get('held_out')}."
    return "Its phase can't be told yet."


def _best(one: Watched) -> str:
    """The checkpoint that was best on new tasks, if that is known, and not just the first known."""
    known = one.losses.by_step
    step, values = min(known.items(), key=lambda pair: pair[1][1], default=(None, []))
    if step == min(known, default=None):
        return ""
    return (
        f" Of the checkpoints measured, that of step {step:,} is best on new tasks "
        f"(loss {values[1]:.3g})."
    )


def _of_alarm(one: Watched) -> str:
    """What the training itself has made of its signals; see `training.stop_when`."""
    alarms = one.course.alarms if one.course else []
    if not alarms:
        return ""
    return f"Its alarm ({alarms[-1].get('words')}) was raised at step {alarms[-1]['step']:,}."


def _of_clock(one: Watched) -> str:
    """Note on a clock that is ahead of ours."""
    said = (one.course.sign if one.course else {}).get("time")
    if one.life not in ALIVE or not isinstance(said, int | float):
        return ""
    ahead = said + one.silence - time.time()
    if ahead < AHEAD:
        return ""
    return f"The clock where it runs is {duration(ahead)} ahead of this one."


def _of_damage(one: Watched) -> str:
    """What of its files is of no use."""
    lines = one.course.odd_lines if one.course else 0
    told = f"{lines:,} of its lines are damaged, or of steps told before." if lines else ""
    return " ".join(filter(None, [told, one.losses.problem]))


def left(one: Watched) -> str:
    """Time to its last step."""
    seconds = one.course.seconds_left if one.course and one.life == "running" else math.nan
    return duration(max(0.0, seconds)) if math.isfinite(seconds) else ""
