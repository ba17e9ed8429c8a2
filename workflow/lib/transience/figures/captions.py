"""Which figures there are, the tables that each reads, and what a reader is told to look for.

All of it stands in workflow/report/captions.yaml. The rules, the report and `snakemake --report`
have it from here, so this module loads neither torch nor matplotlib.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from transience.figures.settings import variant_shown
from transience.problem.words import in_words_of

MOST_OTHERS = 7  # variants besides the one shown whose figures are part of a sweep
PAGE = Path(__file__).parents[3] / "report"


@dataclass(frozen=True)
class Caption:
    """What captions.yaml says of a figure."""

    title: str
    reads: list[str]  # tables
    alt: str = ""  # the figure in words
    text: str = ""  # what to look for: a template, or HTML once it is filled
    smooths: bool = False  # whether curves are moving averages

    def __str__(self) -> str:
        """Title: what Snakemake lists among the parameters of a job."""
        return self.title


@cache
def captions(section: str = "figures") -> dict[str, Caption]:
    """Figures by name, in order: of a variant, a `comparison` of variants, or drawn `on_demand`."""
    return {name: Caption(**keys) for name, keys in _described()[section].items()}


def of_sweep(config: dict[str, Any]) -> list[str]:
    """Every figure of a sweep: its file below `figures`, without the ending.

    `figure1` is that of the variant that is shown, `wide/figure1` that of another one, if they
    are few: else those can be had by name.
    """
    shown = variant_shown(config["figures"]["variant"], config["variants"])
    others = [variant for variant in config["variants"] if variant != shown]
    together = captions("comparison") if others else ()
    if len(others) > MOST_OTHERS:
        others = []
    return [*captions(), *together, *(f"{one}/{name}" for one in others for name in captions())]


def filled(name: str, config: dict[str, Any]) -> Caption:
    """The caption of a figure of the report, for the configuration of the variant it shows."""
    caption = (captions() | captions("comparison"))[name]
    names = ["scale"] if name in captions() else []
    names += ["smoothing"] if caption.smooths else []
    beginning = _described()["without_llc"] if "llc" in caption.reads else ""
    template = " ".join([beginning, caption.text, *(_described()[name] for name in names)])
    strict = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    text = strict.from_string(template).render(config=config).strip()
    told = {"title": caption.title, "alt": caption.alt, "text": text}
    family = config["task"].get("family", "linear")
    told = {key: in_words_of(family, words) for key, words in told.items()}
    return replace(caption, **told | {"text": Markup(told["text"])})


@cache
def _described() -> dict[str, Any]:
    return yaml.safe_load((PAGE / "captions.yaml").read_text(encoding="utf-8"))
