"""The page of a watch: one file that needs nothing else, written anew as trainings go on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from transience.files.atomic import replacing
from transience.problem.diversity import symbol
from transience.problem.words import in_words_of, page_in_words_of
from transience.watch import words
from transience.watch.drawn import as_json, curves, layout, points_each
from transience.watch.phases import PHASES
from transience.watch.watched import Watched

PARTS = Path(__file__).parents[3] / "report"  # template, style and scripts, of the report too
LEAST_REFRESH = 5.0  # seconds


class Page:
    """Writes the page; of a training that has not changed, curves are those of the last time."""

    def __init__(self, path: Path, title: str) -> None:
        """Write to a path, about a sweep or folder of this name."""
        self.path, self.title = path, title
        self.curves: dict[str, str] = {}  # JSON by the name of a training
        self.num_points, self.family = 0, "linear"
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(PARTS), autoescape=True, undefined=jinja2.StrictUndefined
        )
        self.template = environment.get_template("watch.html")
        self.scripts = [
            Markup((PARTS / name).read_text(encoding="utf-8"))
            for name in ("watch.js", "sorting.js")
        ]

    def write(
        self, runs: Sequence[Watched], changed: set[str], *, every: float, live: bool, note: str
    ) -> None:
        """Write the page of these trainings, of which some have changed since the last time.

        ``every`` is when the next one may be expected, in seconds; ``live`` whether there will be
        one; ``note`` what is wrong with all.
        """
        rows = [row(one) for one in runs]
        text = self.template.render(
            title=self.title,
            headline=words.headline(runs),
            look=[*([note] if note else []), *words.to_look_at(runs)],
            rows=rows,
            loops=any(one.place.own_lines for one in runs),
            live=live,
            every=max(LEAST_REFRESH, every),
            written=time.strftime("%Y-%m-%d %H:%M:%S"),
            data=Markup(self._data(runs, rows, changed, every, live)),
            scripts=self.scripts,
        )
        with replacing(self.path) as temporary:
            shown = page_in_words_of(self.family, text)
            temporary.write_text(shown, encoding="utf-8", errors="replace")  # half a character

    def _data(
        self,
        runs: Sequence[Watched],
        rows: Sequence[dict[str, Any]],
        changed: set[str],
        every: float,
        live: bool,
    ) -> str:
        """The script's data: a training's row with its curves, and the layouts of their plots."""
        number = points_each(len(runs))
        if number != self.num_points:
            self.curves, self.num_points = {}, number
        for one in runs:
            name = one.place.name
            if name in changed or name not in self.curves:
                self.curves[name] = as_json(curves(one, number))
        layouts: list[Any] = []
        parts = []
        for one, described in zip(runs, rows, strict=True):
            plots = layout(one)
            layouts += [] if plots in layouts else [plots]
            head = as_json(described | {"layout": layouts.index(plots)})
            parts.append(f'{head[:-1]},"curves":{self.curves[one.place.name]}}}')
        common = {
            "written": round(time.time(), 1), "live": live, "every": max(LEAST_REFRESH, every),
            "title": self.title,
        }  # fmt: skip
        named = in_words_of(self.family, as_json(layouts))
        return f'{as_json(common)[:-1]},"layouts":{named},"runs":[{",".join(parts)}]}}'


def row(one: Watched) -> dict[str, Any]:
    """What the page says of a training, besides its curves."""
    place, course = one.place, one.course
    rates = course.values.get("learning_rate", ()) if course else ()
    return {
        "name": place.name,
        "title": words.name_of(one),
        "variant": place.variant,
        "m": "" if place.num_tasks is None else symbol(place.num_tasks),
        "seed": place.seed,
        "life": one.life,
        "phase": one.phase,
        "since": one.since,
        "bands": [[PHASES[p], begin, end] for p, begin, end in one.bands if p >= 0],
        "step": course.step if course else None,
        "last": course.last_step if course else None,
        "rate": float(f"{rates[-1]:.3g}") if rates and math.isfinite(rates[-1]) else None,
        "left": words.left(one),
        "silent": round(one.silence, 1) if one.life in ("running", "stalled", "killed") else None,
        "advice": one.problem or words.advice(one),
        "wrong": bool(one.problem),
    }
