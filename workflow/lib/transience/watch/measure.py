"""Losses of checkpoints, measured while a run trains and until it is evaluated.

Test sets are drawn like those of the evaluation, but smaller. What was measured is kept in a file
of the watcher's own, so that one that is started again need not begin anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from transience.errors import InputError
from transience.files.atomic import replacing
from transience.watch.losses import Losses
from transience.watch.rows import Rows


class Measurer:
    """Measures checkpoints of runs, the latest first."""

    def __init__(self, num_sequences: int, kept: Path) -> None:
        """Test sets of so many sequences; ``kept`` is the file of what was measured."""
        self.num_sequences, self.path = num_sequences, kept
        self.sets: dict[str, Callable[[int], Any]] = {}
        self.known = self._read()

    @staticmethod
    def load() -> None:
        """Import what measuring takes, which costs seconds, once."""
        import torch

        import transience.evaluation.evaluate  # noqa: F401

        torch.set_num_threads(1)

    def of(self, name: str, rows: Rows) -> Losses:
        """What was measured of a run; anew where it has been trained anew."""
        source = f"{rows.metadata.get('created')} {rows.metadata.get('code')}"
        known = self.known.get(name)
        if not (known and (known.source, known.sequences) == (source, self.num_sequences)):
            self.known[name] = Losses(source, self.num_sequences)
            self.sets.pop(name, None)
        return self.known[name]

    def work(self, runs: Iterable[tuple[str, Rows, int]], seconds: float) -> set[str]:
        """Measure what is new until so many seconds of processor time are spent; names of runs.

        The last checkpoint may take longer. ``runs`` are names, checkpoints, and the step up to
        which these are there. Rows that are not there, or no numbers, are left.
        """
        waiting = []
        for name, rows, last in runs:
            known = self.of(name, rows).by_step
            new = [i for i, step in enumerate(rows.steps) if step <= last and step not in known]
            waiting += [(rank, name, rows, index) for rank, index in enumerate(reversed(new))]
        started, measured = time.process_time(), set()
        for _, name, rows, index in sorted(waiting, key=lambda one: one[:2]):
            if time.process_time() - started >= seconds:
                break
            if self._measure(name, rows, index):
                measured.add(name)
        if measured:
            self._write()
        return measured

    def _measure(self, name: str, rows: Rows, index: int) -> bool:
        """Measure a checkpoint; whether it was there."""
        import torch

        from transience.evaluation.evaluate import DISTRIBUTIONS, evaluate
        from transience.model.loss_and_gradient import LossAndGradient

        losses = self.known[name]
        try:
            vector = None if losses.problem else rows.row(index)
        except OSError:  # moved away meanwhile
            return False
        if vector is None:
            return False
        if name not in self.sets:
            try:
                self.sets[name] = self._sets(rows)
            except (InputError, KeyError, TypeError, ValueError) as error:
                why = " ".join(f"{type(error).__name__} {error}".split())
                losses.problem = f"{rows.path}: expected checkpoints of this version, found {why}"
                return False
        run, sets_at = self.sets[name]
        sets = sets_at(rows.steps[index])
        predict = LossAndGradient(run.architecture).predict
        measures, _ = evaluate([torch.from_numpy(vector.copy())], sets, predict)
        loss, to_dmmse, to_ridge = measures[0].mean(-1).T  # measures by distribution
        total = to_dmmse[0] + to_ridge[0]
        relative = to_dmmse[0] / total if total > 0 else np.nan
        losses.by_step[rows.steps[index]] = [*loss.tolist(), float(relative)]
        ideal = [sets[one] for one in DISTRIBUTIONS]
        losses.ridge = [one.measure(one.ridge)[0].mean().item() for one in ideal]
        losses.dmmse = [one.measure(one.dmmse)[0].mean().item() for one in ideal]
        return True

    def _sets(self, rows: Rows) -> tuple[Any, Callable[[int], Any]]:
        """The run that checkpoints are of, and its test sets at a step."""
        from transience.evaluation.evaluate import evaluation_sets
        from transience.evaluation.settings import EvaluationSettings, ProbeSettings
        from transience.model.transformer import num_parameters
        from transience.trained import run_of

        run = run_of(rows.metadata).as_trained(rows)
        if rows.size != (expected := num_parameters(run.architecture)):
            raise InputError(f"{rows.size} parameters instead of {expected}")
        size = EvaluationSettings(num_sequences=self.num_sequences)
        probe = ProbeSettings(num_sequences=1)
        return run, run.follow(lambda there: evaluation_sets(there, size, probe))

    def _read(self) -> dict[str, Losses]:
        """What a watcher before this one has measured; damage is measured again."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            known = {name: Losses(**one) for name, one in found.items()}
            for one in known.values():
                one.by_step = {int(step): values for step, values in one.by_step.items()}
                one.columns(), [*map(float, [*one.ridge, *one.dmmse])]  # ValueError if damaged
                one.problem = ""  # it may be another version now
            return known
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self) -> None:
        with replacing(self.path) as temporary:
            text = json.dumps({name: asdict(one) for name, one in self.known.items()})
            temporary.write_text(text, encoding="utf-8")
