"""In which phase a training is: what its lines and test losses say of it, in numbers (ours).

Of a run of the sweep, at each logged step and from means over the last `WINDOW` of them:

- *specialised*: nearer to dMMSE_M than to ridge on its batches (projection above `HALFWAY`), and
  come near: its batch loss is above that of dMMSE_M by at most `NEAR` of what it began with;
- *leaving*: else, if its loss on q_inf is `RISE` or more above the least one so far, and has fallen
  by `FALL` before; or its batch loss is below that of ridge, by more than `SURE` standard errors:
  ridge knows no tasks, so the model knows some. Of M = inf there is nothing to leave for;
- *general*: else, if it is not nearer to dMMSE_M, and its batch loss is above that of ridge by at
  most `NEAR` of what it began with;
- *learning*: else.

Of anyone's training, from means over the last `WINDOW_OF_LOOP` lines, less the reference if there
is one, as a part of the first value:

- *general*: the held-out loss is at most `NEAR`, and
- *leaving* if it is `RISE` or more above its least, as a part of what it had fallen by;
- *specialised*: the training loss is at most `NEAR`, and the held-out loss is not;
- *learning*: else.
"""

from __future__ import annotations

import numpy as np

from transience.watch.course import Course

WINDOW, WINDOW_OF_LOOP = 10, 3
HALFWAY, NEAR = 0.5, 0.25  # as in departure.observed
FALL, RISE = 0.10, 0.10  # as in departure.transient_ridge
SURE = 3.0
MOST_BANDS = 40
PHASES = ("learning", "general", "leaving", "specialised")


def phases_of_run(course: Course, num_tasks: float, ood_rises: np.ndarray) -> np.ndarray:
    """Index into PHASES by logged step (L,), -1 where it can't be told.

    Args:
        course: of the run.
        num_tasks: its M.
        ood_rises: whether the loss on new tasks has risen, by logged step (L,); see `has_risen`.
    """
    batch, ridge, dmmse = (course.column(f"{name}_loss") for name in ("batch", "ridge", "dmmse"))
    above = {name: batch - other for name, other in (("ridge", ridge), ("dmmse", dmmse))}
    mean = {name: trailing_mean(values, WINDOW) for name, values in above.items()}
    near = {name: mean[name] <= NEAR * values[:1] for name, values in above.items()}
    finite = np.isfinite(num_tasks)
    nearer = finite & (trailing_mean(course.column("projection"), WINDOW) > HALFWAY)
    leaving = finite & (ood_rises | _is_below(above["ridge"]))
    found = np.select([nearer & near["dmmse"], leaving, near["ridge"] & ~nearer], [3, 2, 1], 0)
    return np.where(np.isfinite(mean["ridge"]), found, -1)


def phases_of_loop(trained: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """The same of anyone's training, from its losses less their references (L,)."""
    losses = [trailing_mean(values, WINDOW_OF_LOOP) for values in (trained, held_out)]
    firsts = [values[np.isfinite(values)][:1] for values in losses]
    if not all(map(len, firsts)):
        return np.full(len(held_out), -1)
    near = [values <= NEAR * first for values, first in zip(losses, firsts, strict=True)]
    least = np.fmin.accumulate(losses[1])
    rises = losses[1] - least >= RISE * (firsts[1] - least)
    rises &= losses[1] > least
    found = np.select([near[1] & rises, near[1], near[0]], [2, 1, 3], 0)
    return np.where(np.isfinite(losses[1]), found, -1)


def has_risen(losses: np.ndarray) -> np.ndarray:
    """Whether each loss (C,), in the order of steps, stands above the least so far.

    That has to be below the first by `FALL` of it; the rise is `RISE` of the least.
    """
    least = np.minimum.accumulate(losses) if len(losses) else losses
    return (least <= (1 - FALL) * losses[:1]) & (losses >= (1 + RISE) * least)


def at_steps(steps: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values known at some steps (C,), ascending, as they last were at others (L,), or False."""
    if not len(known):
        return np.zeros(len(steps), bool)
    index = np.searchsorted(known, steps, side="right") - 1
    return np.where(index < 0, False, values[np.maximum(index, 0)])


def since(phases: np.ndarray, steps: np.ndarray) -> int | None:
    """Step from which on the last phase has lasted."""
    if not len(phases):
        return None
    other = np.flatnonzero(phases != phases[-1])
    return int(steps[other[-1] + 1 if len(other) else 0])


def bands(phases: np.ndarray, steps: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches of one phase: which, the step at which it begins, and that of the next or the last.

    Only the last `MOST_BANDS`.
    """
    if not len(phases):
        return []
    begins = np.concatenate([[0], np.flatnonzero(np.diff(phases)) + 1])
    ends = np.append(steps[begins[1:]], steps[-1])
    found = zip(phases[begins].tolist(), steps[begins].tolist(), ends.tolist(), strict=True)
    return [(phase, int(begin), int(end)) for phase, begin, end in found][-MOST_BANDS:]


def trailing_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and those before it, ``window`` in all or as many as there are."""
    known = np.isfinite(values)
    sums, counts = np.cumsum(np.where(known, values, 0)), np.cumsum(known)
    sums, counts = (
        np.concatenate([one[:window], one[window:] - one[:-window]]) for one in (sums, counts)
    )
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def _is_below(differences: np.ndarray) -> np.ndarray:
    """Whether the last WINDOW differences (L,) are below 0 on average, and not by chance."""
    mean = trailing_mean(differences, WINDOW)
    variance = trailing_mean(np.square(differences), WINDOW) - np.square(mean)
    error = np.sqrt(np.maximum(variance, 0) / (WINDOW - 1))
    enough = np.arange(len(differences)) >= WINDOW - 1
    return enough & (mean < -SURE * error)
