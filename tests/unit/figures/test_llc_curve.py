"""The LLC against h*: ratios, their errors, and what a panel says that has none."""

import math

import pandas as pd
import pytest
from legible import overlapping, texts
from matplotlib.figure import Figure

from transience.figures.draw import draw
from transience.figures.llc_curve import NO_PULL, between_methods, llc_curve, over_infinity

ROWS = [  # M, seed, method, h*, λ̂, error
    (8.0, 0, "quadrature", 1.0, 20.0, 1.0),
    (8.0, 0, "sgld", 1.0, 18.0, 0.9),
    (8.0, 0, "quadrature", 0.1, 90.0, 3.0),
    (math.inf, 0, "quadrature", 1.0, 40.0, 2.0),
    (math.inf, 0, "sgld", 1.0, 36.0, 0.0),
    (math.inf, 1, "quadrature", 0.1, 60.0, 1.0),
]
CURVE = pd.DataFrame(ROWS, columns=["num_tasks", "seed", "method", "h_star", "llc", "error"])


def test_ratios_are_to_infinity_of_the_same_seed_and_h_star() -> None:
    quadrature = over_infinity(CURVE[CURVE["method"] == "quadrature"])
    assert quadrature[["num_tasks", "seed", "h_star"]].to_numpy().tolist() == [[8.0, 0, 1.0]]
    assert quadrature["value"].item() == pytest.approx(0.5)
    assert quadrature["error"].item() == pytest.approx(0.5 * math.hypot(0.05, 0.05))


def test_methods_are_compared_where_both_are() -> None:
    both = between_methods(CURVE)
    assert both["value"].tolist() == pytest.approx([0.9, 0.9])
    assert both["error"].tolist() == pytest.approx([0.9 * math.hypot(0.05, 0.05), 0.9 * 0.05])


@pytest.mark.parametrize(("llc", "error", "there"), [(-5.0, 1.0, 0), (5.0, 3.0, 0), (5.0, 2.0, 1)])
def test_there_is_no_ratio_to_what_is_not_clearly_above_0(llc, error, there) -> None:
    """A ratio of two negative estimates would look like that of two positive ones."""
    curve = CURVE[CURVE["h_star"].eq(1.0) & CURVE["method"].eq("quadrature")].copy()
    curve.loc[curve["num_tasks"].eq(math.inf), ["llc", "error"]] = llc, error
    assert len(over_infinity(curve)) == there


def tables(num_tasks: list[float], *, curve: bool = True) -> dict[str, pd.DataFrame]:
    """Tables with the same LLC for all, which is that of the curve at h* = 0.1."""
    runs = pd.DataFrame({"num_tasks": num_tasks}).assign(variant="baseline", seed=0, step=100)
    numbers = dict.fromkeys(
        ("llc", "centred_llc", "first_half_llc", "second_half_llc", "rhat", "ess", "descent"), 10.0
    )
    numbers |= dict.fromkeys(("loss_rise_fraction", "distance", "acceptance"), 0.1)
    chains = pd.concat([runs.assign(chain=chain) for chain in (0, 1)])
    llc = chains.assign(**numbers, nbeta=1000.0, gamma=100.0, diverged=False, flags="")
    points = runs.assign(method="quadrature", h_star=0.1, llc=5.0, error=0.1, negative_part=-1.0)
    points = points.assign(flags="")
    return {"evaluation": runs, "llc": llc, "llc_curve": points if curve else points.head(0)}


def words(figure: Figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for axes in figure.axes for text in axes.texts]


def test_the_own_estimate_is_one_more_point_of_the_curve() -> None:
    figure = draw("llc_curve", tables([8.0, math.inf]))
    assert words(figure) == []
    assert overlapping(texts(figure)) == []  # of one h*, too, an axis has labels side by side
    (ratio,) = [line for line in figure.axes[2].lines if list(line.get_xdata()) == [0.1]][:1]
    assert list(ratio.get_ydata()) == [2.0]


@pytest.mark.parametrize(
    ("num_tasks", "curve", "said"),
    [
        ([8.0], True, ["no M = ∞ to compare with"] * 2),
        ([math.inf], True, ["no finite M in this sweep"] * 2),
        ([8.0, math.inf], False, ["no estimates to compare", "no h* that both methods have"]),
    ],
)
def test_an_empty_panel_says_why(num_tasks: list[float], curve: bool, said: list[str]) -> None:
    assert words(llc_curve(tables(num_tasks, curve=curve), 1)) == said


def test_no_pull_has_no_place_on_the_axis() -> None:
    own = tables([8.0, math.inf])
    own["llc"]["gamma"] = 0.0
    _, sgld, both = draw("llc_curve", own).axes[:3]
    assert [text.get_text().replace("\n", " ") for text in sgld.texts] == [NO_PULL]
    assert both.texts[0].get_text().replace("\n", " ") == "no h* that both methods have"
    curve = pd.concat([own["llc_curve"], own["llc_curve"].assign(method="sgld", h_star=1.0)])
    sgld = draw("llc_curve", own | {"llc_curve": curve}).axes[1]
    assert not list(sgld.texts) and sgld.get_xlim() == pytest.approx((1 / 3, 3))
