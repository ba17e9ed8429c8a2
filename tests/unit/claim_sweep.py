"""A made-up sweep in which every claim of the paper holds, and ways to spoil it."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from transience.claims import verdicts
from transience.files.tables import schemas

INF = math.inf
DIVERSITIES = (1.0, 8.0, 16.0, 64.0, 128.0, 256.0, INF)
SEEDS = (0, 1)
RUNS = pd.DataFrame(
    [("baseline", m, s) for m, s in itertools.product(DIVERSITIES, SEEDS)],
    columns=["variant", "num_tasks", "seed"],
)

# A sweep as in the paper, by M in the order above
RELATIVE_AT_END = (0.01, 0.05, 0.1, 0.2, 0.45, 0.8, math.nan)
RISE = (2.0, 1.3, 1.6, 1.4, 1.2, 1.02, 1.01)
LEAST_OOD = (4.1, 3.0, 2.5, 2.0, 1.8, 1.7, 1.65)
DEFLECTION = (0.02, 0.4, 0.6, 0.7, 0.8, 0.9, math.nan)
DMMSE_LOSS = (0.125, 0.5, 0.7, 1.0, 1.1, 1.3, 1.6)
LLC = (20.0, 60.0, 90.0, 95.0, 97.0, 85.0, 80.0)
PC2_OF_DMMSE = (-5.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0)

Tables = dict[str, pd.DataFrame]


def by_m(values: tuple[float, ...]) -> pd.Series:
    return RUNS["num_tasks"].map(dict(zip(DIVERSITIES, values, strict=True)))


def made_up() -> Tables:
    """A sweep in which every claim of the paper holds."""
    runs = RUNS.assign(
        relative_distance_at_end=by_m(RELATIVE_AT_END),
        rise=by_m(RISE),
        least_ood_loss=by_m(LEAST_OOD),
        ridge_ood_loss=1.6,
        final_ood_loss=by_m(RISE) * by_m(LEAST_OOD),
        ridge_deflection=by_m(DEFLECTION),
        transient=RUNS["num_tasks"].between(8, 128),
        root_distance_to_ridge_at_end=0.1,
        root_distance_to_nearest_dmmse_at_end=0.3,
    )
    llc = RUNS.assign(step=100, chain=0, centred_llc=by_m(LLC), diverged=False)
    llc = llc.assign(llc=llc["centred_llc"] - 5, nbeta=1000.0, gamma=100.0, flags="")
    diagnostics = ("first_half_llc", "second_half_llc", "rhat", "ess", "descent")
    diagnostics += ("loss_rise_fraction", "distance", "acceptance")
    llc = llc.assign(**dict.fromkeys(diagnostics, 1.0))
    curve = RUNS.assign(step=100, method="quadrature", llc=by_m(LLC), error=1.0)
    return {
        "free_energy": _free_energy(),
        "free_energy_agreement": _free_energy_agreement(),
        "departure_prediction_scores": _departure_prediction_scores(),
        "transient_ridge": runs,
        "llc": llc,
        "llc_curve": pd.concat([curve.assign(h_star=h, llc=h * curve["llc"]) for h in (1.0, 0.1)]),
        "predictors": _predictors(),
        "trajectory_pca": _trajectories(),
        "evaluation": _evaluation(),
        "trajectory_pca_components": _components(),
        "trajectory_subspace": _subspace(),
        "interventions": pd.DataFrame(
            columns=[one.name for one in schemas()["interventions"].columns]
        ),
    }


def _subspace() -> pd.DataFrame:
    """Hardly any random order bends as far as the runs do."""
    rows = [
        ("baseline", seed, "reordered_share", f"{m:g}", 1, 0.01)
        for m in DIVERSITIES
        if m < INF
        for seed in SEEDS
    ]
    columns = ["variant", "seed", "quantity", "setting", "number", "value"]
    return pd.DataFrame(rows, columns=columns)


def _free_energy() -> pd.DataFrame:
    """M = 8 to 128 leave ridge after about 1000 M samples, as predicted."""
    left = RUNS[RUNS["num_tasks"].between(8, 128)]
    n = 1000 * left["num_tasks"]
    return left.assign(
        estimate="centred_llc", outcome="left", prediction="crossover",
        delta_llc=5000.0, delta_loss=-0.01,
        observed_low=0.9 * n, observed_high=1.1 * n, llc_difference_needed=5000.0,
        predicted_low=0.5 * n, predicted_samples=n, predicted_high=2 * n,
    )  # fmt: skip


def _free_energy_agreement() -> pd.DataFrame:
    names = ["crossover", "ratio", "llc_difference", "loss_gap", "num_tasks"]
    row = {"variant": "baseline", "estimate": "centred_llc", "scope": "all", "num_pairs": 20}
    row |= {"rank_correlation": 0.8, "low": 0.5, "high": 0.95}
    return pd.DataFrame([row | {"predictor": name} for name in names])


def _departure_prediction_scores() -> pd.DataFrame:
    """The rational model is better than the power law, for M and for seeds not seen."""
    row = {"variant": "baseline", "scope": "all", "num_runs": 8, "coverage": 1.0}
    row |= {"error_low": 0.05, "error_high": 0.3}
    better = {"error": 0.1, "log_probability": -1.0, "advantage": 1.0, "advantage_low": 0.5}
    same = {"error": 0.2, "log_probability": -2.0, "advantage": 0.0, "advantage_low": 0.0}
    laws = {"rational_description_length": better, "power_law": same, "equation_8": same}
    return pd.DataFrame(
        row | scores | {"predictor": law, "held_out": scheme, "advantage_high": 2.0}
        for law, scores in laws.items()
        for scheme in ("num_tasks", "seed")
    )


def _predictors() -> pd.DataFrame:
    run = RUNS.assign(distribution="training", position=pd.NA)
    dmmse = run.assign(predictor="dmmse", loss=by_m(DMMSE_LOSS))
    return pd.concat([dmmse, run.assign(predictor="ridge", loss=1.6)], ignore_index=True)


def _trajectories() -> pd.DataFrame:
    """From (-9, 0) to dMMSE_M at (3, PC2) or, for M = inf, to ridge at (3, 2), within 10 %."""
    ideal = {"dmmse": (3.0, by_m(PC2_OF_DMMSE)), "ridge": (3.0, 2.0)}
    frames = [
        RUNS.assign(step=step, predictor=None, pc1=-9 + part * 12, pc2=part * by_m(PC2_OF_DMMSE))
        for step, part in ((0, 0.0), (50, 0.5), (100, 0.9))
    ]
    frames += [
        RUNS.assign(step=pd.NA, predictor=name, pc1=pc1, pc2=pc2)
        for name, (pc1, pc2) in ideal.items()
    ]
    frame = pd.concat([one.astype({"predictor": object}) for one in frames], ignore_index=True)
    return frame.assign(pc3=np.nan, pc4=np.nan, step=frame["step"].astype("Int64"))


def _evaluation() -> pd.DataFrame:
    """Losses that fall with PC1 (root) and with PC2 (OOD), and end at the predictor's (q_M)."""
    points = _trajectories().dropna(subset="step")
    base = points[["variant", "num_tasks", "seed", "step"]].assign(position=pd.NA)
    last = points["num_tasks"].map(dict(zip(DIVERSITIES, DMMSE_LOSS, strict=True)))
    losses = {"root": 4 - 0.2 * points["pc1"], "gaussian": 8 - points["pc2"], "training": last}
    frames = [base.assign(distribution=name, loss=loss) for name, loss in losses.items()]
    return pd.concat(frames, ignore_index=True).astype({"step": "int64", "loss": float})


def _components() -> pd.DataFrame:
    rows = itertools.product(SEEDS, (1, 2), range(3), range(4))
    frame = pd.DataFrame(rows, columns=["seed", "component", "sequence", "position"])
    return frame.assign(variant="baseline", loading=1 / (1 + frame["position"]))


def change(table: str, column: str, num_tasks: float, value: object, seed: int = 1):
    """A change of one run: one seed is enough to spoil a claim about every seed."""

    def apply(made: Tables) -> None:
        rows = (made[table]["num_tasks"] == num_tasks) & (made[table]["seed"] == seed)
        old = made[table].loc[rows, column]
        made[table].loc[rows, column] = value(old) if callable(value) else value

    return apply


def every(*changes: Callable) -> Callable:
    def apply(made: Tables) -> None:
        for one in changes:
            one(made)

    return apply


def without(*diversities: float) -> Callable[[Tables], None]:
    def apply(made: Tables) -> None:
        for name, table in made.items():
            if "num_tasks" in table:
                made[name] = table[~table["num_tasks"].isin(diversities)]

    return apply


def verdict(claim: str, spoil: Callable[[Tables], None]) -> str:
    """Verdict on a claim of the spoiled sweep."""
    made = made_up()
    spoil(made)
    return found(made)[claim]


def found(made: Tables) -> pd.Series:
    """Verdict of every claim."""
    table = verdicts.check(made)
    assert table[["this_sweep_shows", "criterion"]].map(len).gt(20).all(axis=None)
    return table.set_index("claim")["verdict"]
