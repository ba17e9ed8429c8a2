"""The LLC against h* = γ/nβ, over that of M = inf, by two methods, and where these part."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.complexity.summary import final_curve
from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.style import DiversityScale

METHODS = {"quadrature": "quadrature", "sgld": "SGLD"}
USUAL, FAR = 0.9, 3.0  # a quantile of ratios, and how far above it one is left out of the panel
DECADE = 10.0  # below it an axis of powers of ten has next to no labels, or crowded ones
RUN = ["num_tasks", "seed", "h_star"]
CLEAR = 2.0  # errors above 0 at which an estimate can stand below a fraction
NO_PULL = "h* = 0 (γ = 0) has no place on a logarithmic axis"


def llc_curve(tables: Tables, _window: int) -> Figure:
    """λ̂(M; h*)/λ̂_∞ by quadrature of the Hessian and by SGLD, and the ratio of the two methods."""
    curve = final_curve(tables["llc"], tables["llc_curve"])
    scale = DiversityScale.of(tables["evaluation"]["num_tasks"])
    figure = Figure(figsize=(style.FULL_WIDTH, 2.7))
    panels = dict(zip("abc", figure.subplots(1, 3), strict=True))
    for letter, (method, name) in zip("ab", METHODS.items(), strict=True):
        ratios = over_infinity(curve[curve["method"] == method])
        _draw(panels[letter], ratios, scale, none=_reason(tables["llc"], scale))
        style.panel_title(panels[letter], letter, rf"$\hat{{λ}}_M / \hat{{λ}}_∞$ by {name}")
    none = style.no_llc(tables["llc"]) if tables["llc"].empty else "no h* that both methods have"
    _draw(panels["c"], between_methods(curve), scale, none=none)
    style.panel_title(panels["c"], "c", r"$\hat{λ}$ by SGLD / by quadrature")
    style.diversity_key(figure, scale)
    return figure


def over_infinity(curve: pd.DataFrame) -> pd.DataFrame:
    """Ratio of each finite M's λ̂ to that of M = inf of its seed, at each h*, and its error."""
    finite = np.isfinite(curve["num_tasks"])
    return _ratio(curve[finite], curve[~finite], ["seed", "h_star"])


def between_methods(curve: pd.DataFrame) -> pd.DataFrame:
    """Ratio of λ̂ by SGLD to that by quadrature, at the h* that both have, and its error."""
    sgld = curve["method"] == "sgld"
    return _ratio(curve[sgld], curve[~sgld], RUN)


def _ratio(over: pd.DataFrame, under: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows of the first, with `value` and `error` of the ratio; errors are independent.

    There is none to an estimate that is not clearly above 0: its sign would be that of noise.
    """
    clear = under["llc"] > CLEAR * under["error"].fillna(0)
    under = under.loc[clear, [*keys, "llc", "error"]]
    both = over.merge(under, on=keys, suffixes=("", "_under"))
    value = both["llc"] / both["llc_under"]
    relative = np.hypot(both["error"] / both["llc"], both["error_under"] / both["llc_under"])
    return both[RUN].assign(value=value, error=(relative * value).abs())


def _draw(axes: Axes, ratios: pd.DataFrame, scale: DiversityScale, *, none: str) -> None:
    """Mean over seeds by M where all are, with seeds as points; h* = 0 has no place."""
    known = ratios[ratios["value"].notna()]
    ratios = known[known["h_star"] > 0]
    if len(known) > len(ratios):
        none = NO_PULL
    for num_tasks, rows in ratios.groupby("num_tasks"):
        look = scale.line(num_tasks)
        by_h_star = rows.groupby("h_star")["value"]
        mean = by_h_star.mean()[by_h_star.size() == rows["seed"].nunique()]
        axes.plot(mean.index, mean, **look, linewidth=1.1)
        axes.errorbar(
            rows["h_star"], rows["value"], rows["error"].fillna(0), fmt="o", color=look["color"],
            markersize=2.0, elinewidth=0.5, alpha=0.7,
        )  # fmt: skip
    if ratios.empty:
        axes.set(xticks=[], yticks=[])
        style.nothing_to_show(axes, none)
        return
    axes.axhline(1, color=style.MUTED, linewidth=0.7, linestyle=":")
    axes.set_xscale("log")
    least, greatest = ratios["h_star"].min(), ratios["h_star"].max()
    axes.set_xlim(least / 1.4, greatest * 1.4)
    if math.isclose(least, greatest):
        axes.set_xlim(least / 3, greatest * 3)
    if greatest / least < DECADE:
        style.plain_log_axis(axes, "x")
    axes.set_xlabel("h* = γ/nβ (label²/weight²)")
    _limit(axes, ratios["value"])


def _limit(axes: Axes, values: pd.Series) -> None:
    """From 0 up; ratios to next to nothing, which would set the scale, are counted instead."""
    axes.set_ylim(bottom=0)
    usual, beyond = values.quantile(USUAL), []
    if values.max() > FAR * usual > 0:
        top = 1.4 * usual
        axes.set_ylim(0, top)
        beyond.append(f"{int((values > top).sum())} above")
    if (values < 0).any():
        beyond.append(f"{int((values < 0).sum())} below")
    if beyond:
        axes.text(0.98, 0.98, ", ".join(beyond), transform=axes.transAxes, ha="right", va="top",
                  color=style.MUTED, backgroundcolor="white")  # fmt: skip


def _reason(llc: pd.DataFrame, scale: DiversityScale) -> str:
    """Why there is no ratio to M = inf."""
    if llc.empty:
        return style.no_llc(llc)
    if not scale.finite:
        return style.NO_FINITE
    return "no estimates to compare" if scale.infinite else "no M = ∞ to compare with"
