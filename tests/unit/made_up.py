"""Tables of a sweep that never ran: made-up curves of plausible shape, only to test drawing."""

import itertools
import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from small import MODEL, TRAINING

from transience.departure.agreement import agreement_table
from transience.departure.alarms import alarms_table
from transience.departure.free_energy import free_energy_table
from transience.departure.held_out import ESTIMATE, KNOWN, OUTCOME, SCHEMES
from transience.departure.interventions import interventions_table
from transience.departure.knobs import values_of
from transience.departure.laws import LAWS
from transience.departure.paired import effects_table
from transience.departure.scaling import POINTS, points_table, scaling_tables
from transience.departure.scores import scores_table
from transience.files.tables import RUN_KEYS
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.training.settings import PhaseSettings, TrainingSettings

T = 10_000  # training steps
STEPS = sorted({0, *range(500, T + 1, 500), *(int(T ** (j / 39)) for j in range(40))})
NUM_DRAWS = 60
TIMES = ("t_crit", "departure")
NATS = {"baseline": 64.0}
FEW = [1.0, 8.0, math.inf]
PAPER = [
    *[1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 46, 64, 90, 128, 182, 256, 362, 512, 724, 1024, 2048, 4096],
    *[8192, 16384, 32768, math.inf],
]

Tables = dict[str, pd.DataFrame]


def made_up_sweep(
    num_tasks: Sequence[float], num_seeds: int, *, diverged: Sequence[float] = ()
) -> Tables:
    """All tables of a sweep; chains of the M that `diverged` did so."""
    made = _made(tuple(num_tasks), num_seeds, tuple(diverged))
    return {name: frame.copy() for name, frame in made.items()}


@cache
def _made(num_tasks: tuple[float, ...], num_seeds: int, diverged: tuple[float, ...]) -> Tables:
    runs = list(itertools.product(num_tasks, range(num_seeds)))
    frames = {
        "training": [_training(m, s) for m, s in runs],
        "signals": [_signals(m, s) for m, s in runs],
        "evaluation": [_evaluation(m, s) for m, s in runs],
        "predictors": [_predictors(m, s) for m, s in runs],
        "front": [_front(m, s) for m, s in runs],
        "llc": [_llc(m, s, m in diverged) for m, s in runs],
        "llc_trace": [_llc_trace(m, s, m in diverged) for m, s in runs],
        "llc_curve": [_llc_curve(m, s, m in diverged) for m, s in runs],
        "indicators": [_indicators(m, s) for m, s in runs],
        "indicator_agreement": [_indicator_agreement()],
        "trajectory_pca": [_trajectory(m, s) for m, s in runs],
        "trajectory_pca_components": [_components(s) for s in range(num_seeds)],
        "trajectory_subspace": [_subspace(num_tasks, s) for s in range(num_seeds)],
        "transient_ridge": [_transient_ridge(m, s) for m, s in runs],
    }
    tables = {name: pd.concat(each, ignore_index=True) for name, each in frames.items()}
    for frame in tables.values():
        frame.insert(0, "variant", "baseline")
    for name in ("evaluation", "predictors"):
        tables[name]["position"] = tables[name]["position"].astype("Int64")
    tables["trajectory_pca"]["step"] = tables["trajectory_pca"]["step"].astype("Int64")
    made = {"claims": _claims(), "interventions": _interventions(tables)}
    made["intervention_effects"] = effects_table(made["interventions"])
    made["branch_trajectories"] = _branches(tables["trajectory_pca"])
    made["alarms"] = alarms_table(*(tables[name] for name in ("evaluation", "training", "signals")))
    points = points_table(tables["evaluation"], tables["transient_ridge"], {"baseline": SECTIONS})
    return tables | _free_energy(tables) | made | fitted_to(points)


def without_components(tables: Tables, kept: int) -> Tables:
    """The same sweep, had its checkpoints spanned so many components only."""
    made = {name: frame.copy() for name, frame in tables.items()}
    points, components = made["trajectory_pca"], made["trajectory_pca_components"]
    points[[f"pc{number}" for number in range(kept + 1, 5)]] = math.nan
    numbers = ["loading", "explained_variance_fraction"]
    components.loc[components["component"] > kept, numbers] = math.nan
    made["trajectory_pca_components"] = components[components["component"] <= max(1, kept)]
    made["transient_ridge"]["ridge_deflection"] = math.nan
    found = made["trajectory_subspace"]
    if not kept:
        found = found[~found["quantity"].isin(["probe_size", "schedule"])]
        found = found.assign(value=math.nan)
    found.loc[found["quantity"].str.startswith("reordered"), "value"] = math.nan
    made["trajectory_subspace"] = found
    return made


def _interventions(tables: Tables) -> pd.DataFrame:
    """With a variant `fresh`, whose runs turn back half-way from step 5,000 on."""
    read = [tables[name] for name in ("evaluation", "training", "front")]
    evaluation = read[0].copy()
    late = (evaluation["step"] > 5_000) & (evaluation["distribution"] == "gaussian")
    evaluation.loc[late, "loss"] = 0.5 * (evaluation.loc[late, "loss"] + 1.7)
    others = [frame.assign(variant="fresh") for frame in (evaluation, *read[1:])]
    both = [pd.concat(pair, ignore_index=True) for pair in zip(read, others, strict=True)]
    phase = PhaseSettings(begin=5_000, fresh_fraction=0.1)
    plain = TrainingSettings(**TRAINING | {"num_steps": STEPS[-1]})
    fresh = plain.model_copy(update={"phases": [phase]})
    return interventions_table(*both, {"baseline": plain, "fresh": fresh})


def _branches(trajectory: pd.DataFrame) -> pd.DataFrame:
    """`fresh` as a branch that leaves the baseline at step 5,000 and goes half-way to ridge."""
    late = trajectory[trajectory["predictor"].isna() & (trajectory["step"] >= 5_000)]
    part = 0.5 * (late["step"].astype(float) - 5_000) / (T - 5_000)
    moved = {f"pc{n}": late[f"pc{n}"] + part * (to - late[f"pc{n}"]) for n, to in ((1, 6), (2, 3))}
    names = {"variant": "fresh", "parent": "baseline", "plane": "baseline"}
    return late.drop(columns="predictor").assign(**names, **moved).astype({"step": "int64"})


def with_doses(tables: Tables) -> Tables:
    """With a share of new tasks at three strengths and onsets, and decay at two strengths."""
    row = tables["interventions"].assign(release=math.nan, steps=T, control_steps=T)
    frames = []
    for value, onset in itertools.product((0.01, 0.03, 0.1), (0, "t_crit", 5_000)):
        step = row["control_t_crit"] if onset == "t_crit" else onset
        frames.append(row.assign(variant=f"fresh_{value}_{onset}", value=value, onset=step))
    for value in (0.1, 0.3):
        decay = {"kind": "weight_decay", "weight_decay_of": "mlp"}
        frames.append(row.assign(variant=f"decay_{value}", value=value, onset=0, **decay))
    frames = [frame.assign(preserved=frame["value"]) for frame in frames]
    return tables | {"interventions": pd.concat(frames, ignore_index=True)}


SECTIONS = {  # of the main variant of a map of scale
    "task": TaskSettings(task_dimension=4, num_examples=16, noise_variance=0.125),
    "model": ModelSettings(**MODEL | {"width": 48, "mlp_width": 96}),
    "training": TrainingSettings(
        **TRAINING | {"num_steps": 16_000, "batch_size": 64, "learning_rate": 4e-3}
    ),
}
WIDTH = "model.width+model.mlp_width"
TURNED = {  # its knobs: values that were tried, and the exponents of M_1/2
    "task.task_dimension": ([2.0, 3.0, 6.0], 1.5),
    "task.num_examples": ([8.0, 32.0], -0.3),
    "task.noise_variance": ([0.03125, 0.5], -0.2),
    WIDTH: ([16.0, 24.0, 96.0], 0.4),
    "model.num_layers": ([1.0, 4.0], -0.1),
    "training.batch_size": ([16.0, 256.0], 0.3),
    "training.learning_rate": ([1.0e-3, 8.0e-3], 0.4),
}
GROWTH = 0.5  # exponent of M_1/2 in the number of steps


def scaling_points(
    num_seeds: int,
    *,
    knobs: Sequence[str] = tuple(TURNED),
    error: float = 0.1,
    spread: float = 1.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Of a map of scale; M_1/2 is ``spread`` times as high in each next seed, times e^error."""
    rng, rows, start = np.random.default_rng(seed), [], values_of(SECTIONS)
    tried = [("", math.nan), *((knob, value) for knob in knobs for value in TURNED[knob][0])]
    for one, (knob, value) in itertools.product(range(num_seeds), tried):
        told = (knob, value, start.get(knob, math.nan))
        factor = (value / start[knob]) ** TURNED[knob][1] if knob else 1.0
        factor *= spread**one * math.exp(error * rng.standard_normal())
        for share in (0.25, 0.5, 1.0):
            seen = 24.0 * factor * share**GROWTH
            key = ("threshold", f"{knob}_{value:g}", 0.0, one, share, int(16_000 * share))
            rows.append((*key, *told, seen, 8.0, 64.0))
        for quantity, m in itertools.product(TIMES, (8.0, 16.0)):
            seen = 50.0 * m * factor
            key = (quantity, f"{knob}_{value:g}", m, one, 1.0, int(seen))
            rows.append((*key, *told, seen, seen, seen))
    return pd.DataFrame(rows, columns=POINTS)


def scaling_sweep(num_seeds: int, *, knobs: Sequence[str] = tuple(TURNED)) -> Tables:
    """Tables of a map of scale; with one block all M stay, and M_1/2 is not known."""
    points = scaling_points(num_seeds, knobs=knobs)
    one_block = (points["knob"] == "model.num_layers") & (points["knob_value"] == 1.0)
    one_block &= points["quantity"] == "threshold"
    points.loc[one_block, ["value", "low", "high"]] = math.nan, 64.0, math.inf
    return fitted_to(points)


def fitted_to(points: pd.DataFrame) -> Tables:
    """The tables of a map of scale, from its points."""
    fitted, foretold = scaling_tables(points, SECTIONS)
    return {"scaling_points": points, "scaling": fitted, "extrapolation": foretold}


def _floor(m: float) -> float:
    """Loss of dMMSE_M on q_M, roughly."""
    return 1.7 if math.isinf(m) else 0.12 + 1.5 * (1 - math.exp(-math.log2(m) / 4))


def _progress(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How far a run has learnt something, and has specialised, at each step."""
    steps = np.array(STEPS)
    shift = 1 + 0.15 * seed
    return 1 / (1 + (300 * shift / (steps + 1)) ** 2), 1 / (1 + (2500 * shift / (steps + 1)) ** 2)


def _special(m: float) -> float:
    """How far a run leaves ridge in the end: 1 for low M, 0 for M = inf."""
    return 0.0 if math.isinf(m) else 1 / (1 + (m / 150) ** 2)


def _training(m: float, s: int) -> pd.DataFrame:
    learnt, _ = _progress(s)
    loss = 4.1 - (4.1 - _floor(m)) * learnt
    return pd.DataFrame(
        {
            "num_tasks": m, "seed": s, "step": STEPS, "batch_loss": loss, "learning_rate": 2e-3,
            "gradient_norm": 1.0, "seconds": np.array(STEPS) * 6e-3,
            "sequences": np.array(STEPS) * 32.0,
        }
    )  # fmt: skip


def _signals(m: float, s: int) -> pd.DataFrame:
    """The batch loss falls below that of ridge, the sooner the fewer tasks there are."""
    training = _training(m, s)[["num_tasks", "seed", "step", "batch_loss"]]
    none = math.isinf(m)
    return training.assign(
        ridge_loss=1.7, dmmse_loss=1.7 if none else 0.5, gradient_variance=30 / training["step"],
        projection=math.nan if none else training["step"] / T, residual=math.nan if none else 0.1,
    )  # fmt: skip


def _evaluation(m: float, s: int) -> pd.DataFrame:
    learnt, special = _progress(s)
    special = special * _special(m)
    rise = 6 / (1 if math.isinf(m) else m) ** 0.5
    losses = {
        "training": 4.1 - (4.1 - _floor(m)) * learnt,
        "gaussian": 4.1 - 2.3 * learnt + rise * special + (0 if m > 2 else 2 * learnt),
        "root": 4.3 - (4.3 - 0.8 * _floor(m)) * learnt,
    }
    frames = [
        pd.DataFrame(
            {
                "num_tasks": m, "seed": s, "step": STEPS, "distribution": distribution,
                "position": position, "loss": loss * (1 + 0.02 * math.sin(s)),
                "distance_to_dmmse": 1.5 * (1 - special) * (1.1 - learnt) + 0.5 * (1 - _special(m)),
                "distance_to_ridge": 1.2 * special + 1.5 * (1.1 - learnt),
            }
        )
        for distribution, loss in losses.items()
        for position in (None, 0, 1)
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def _predictors(m: float, s: int) -> pd.DataFrame:
    losses = {"dmmse": _floor(m), "ridge": 1.7, "zero": 4.1}
    return pd.DataFrame(
        [
            {"num_tasks": m, "seed": s, "distribution": d, "position": p, "predictor": name,
             "loss": loss * (1.02 + 0.02 * s)}
            for d in ("training", "gaussian", "root")
            for p in (None, 0, 1)
            for name, loss in losses.items()
        ]
    )  # fmt: skip


def _front(m: float, s: int) -> pd.DataFrame:
    """From the losses of dMMSE_M to those of ridge; for M = inf both are one."""
    least, most = _floor(m), 1.7 + 4 * _special(m)
    return pd.DataFrame(
        [
            {"num_tasks": m, "seed": s, "fresh_fraction": fraction, "distribution": d,
             "loss": loss * (1.02 + 0.02 * s)}
            for fraction in (0.0, 0.25, 0.5, 0.75, 1.0)
            for d, loss in (
                ("training", least + (1.7 - least) * fraction**2),
                ("gaussian", 1.7 + (most - 1.7) * (1 - fraction) ** 2),
            )
        ]
    )  # fmt: skip


def _llc(m: float, s: int, diverged: bool) -> pd.DataFrame:
    value = 40 + 60 * _floor(m) + 3 * s + np.arange(4)
    flags = "NOT_EQUILIBRATED,RHAT" if m >= 32 else ""
    frame = pd.DataFrame(
        {
            "num_tasks": m, "seed": s, "step": T, "chain": range(4), "llc": value - 6,
            "centred_llc": value, "descent": 6.0,
            "initial_loss": _floor(m), "mean_loss": _floor(m) + 0.1,
            "first_half_llc": value - 4, "second_half_llc": value + 4, "monte_carlo_error": 1.5,
            "rhat": 1.02 if m < 32 else 1.08, "ess": 120.0, "loss_rise_fraction": 0.02,
            "distance": 0.4, "acceptance": 0.75, "diverged": False, "flags": flags,
            "largest_curvature": 100.0 + m if m < 1000 else 90.0, "remaining_curvature": 6.0,
            "step_size": 1e-6, "nbeta": 300.0, "gamma": 300.0,
        }
    )  # fmt: skip
    if diverged:
        frame.loc[1, ["llc", "centred_llc", "first_half_llc", "second_half_llc", "rhat", "ess"]] = (
            math.nan
        )
        frame.loc[1, ["diverged", "flags"]] = [True, "DIVERGED"]
    return frame


def _llc_curve(m: float, s: int, diverged: bool) -> pd.DataFrame:
    """The quadrature at three h*, SGLD at one, which is missing where a chain diverged."""
    h_star = np.array([10.0, 1.0, 0.1])
    value = (40 + 60 * _floor(m) + 3 * s) / (1 + h_star)
    frame = pd.DataFrame(
        {
            "num_tasks": m, "seed": s, "step": T, "method": "quadrature", "h_star": h_star,
            "llc": value, "error": 0.5, "negative_part": -0.1 / h_star, "estimates": 2,
            "flags": "",
        }
    )  # fmt: skip
    sampled = frame.iloc[:1].assign(
        method="sgld", llc=math.nan if diverged else 1.02 * value[0], negative_part=math.nan,
        estimates=4, flags="DIVERGED" if diverged else "",
    )  # fmt: skip
    return pd.concat([frame, sampled], ignore_index=True)


def _llc_trace(m: float, s: int, diverged: bool) -> pd.DataFrame:
    draws = np.arange(NUM_DRAWS)
    frames = []
    for chain in range(4):
        noise = 0.05 * np.sin(7.0 * draws + chain + s)
        rise = (0.1 + 0.2 * _floor(m)) * (1 - np.exp(-draws / 10))
        loss = _floor(m) + rise + noise
        if diverged and chain == 1:
            loss[20:] = math.nan
        frames.append(pd.DataFrame(
            {"num_tasks": m, "seed": s, "step": T, "chain": chain, "draw": draws, "loss": loss,
             "baseline_loss": _floor(m)}
        ))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def _indicators(m: float, s: int) -> pd.DataFrame:
    learnt, _ = _progress(s)
    values = {"gradient_noise": 60 + 90 * _floor(m) + 40 * (1 - learnt), "batch_loss": _floor(m)}
    frames = [
        pd.DataFrame(
            {
                "num_tasks": m, "seed": s, "step": STEPS, "indicator": name, "value": value,
                "standard_error": 2.0, "num_probes": 8,
            }
        )
        for name, value in values.items()
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def _indicator_agreement() -> pd.DataFrame:
    correlations = {
        "gradient_noise": {"all": 0.91, "training": math.nan, "end": 0.83, "beyond_loss": 0.5},
        "batch_loss": {"all": 0.6},
    }
    return pd.DataFrame(
        [
            {"indicator": name, "scope": scope, "rank_correlation": value, "low": value - 0.1,
             "high": value + 0.1, "num_runs": 6, "num_checkpoints": 12}
            for name, scopes in correlations.items()
            for scope, value in scopes.items()
        ]
    )  # fmt: skip


def _trajectory(m: float, s: int) -> pd.DataFrame:
    learnt, special = _progress(s)
    share = _special(m)
    goal = np.array([12 - 4 * _floor(m), -8 + 5 * _floor(m)])
    ridge = np.array([6.0, 3.0])
    path = -6 + learnt[:, None] * (ridge + 6 + share * special[:, None] * (goal - ridge))
    rows = [(step, None, *point) for step, point in zip(STEPS, path, strict=True)]
    rows += [(None, "dmmse", *(ridge if math.isinf(m) else goal)), (None, "ridge", *ridge)]
    frame = pd.DataFrame(rows, columns=["step", "predictor", "pc1", "pc2"])
    frame.insert(0, "seed", s)
    frame.insert(0, "num_tasks", m)
    return frame.assign(pc3=0.5 * frame["pc2"], pc4=0.2 * frame["pc1"])


def _components(s: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"seed": s, "component": c, "sequence": b, "position": k, "loading": 0.5,
             "explained_variance_fraction": 0.6 / c}
            for c in (1, 2, 3, 4)
            for b in range(2)
            for k in range(2)
        ]
    )  # fmt: skip


def _subspace(num_tasks: Sequence[float], s: int) -> pd.DataFrame:
    rows = [
        *(("probe_size", str(b), n, 30 * n / b + s) for b in (1, 4, 16) for n in (1, 2)),
        *(("schedule", name, n, 9.0 * n) for name in ("linear", "logarithmic") for n in (1, 2)),
        *(("variance", "random_walk", n, 0.3 / n) for n in (1, 2, 3, 4)),
    ]
    for m in filter(math.isfinite, num_tasks):
        rows += [("reordered_median", f"{m:g}", 1, 0.2), ("reordered_95", f"{m:g}", 1, 0.5)]
        rows += [("reordered_share", f"{m:g}", 1, 0.1)]
    frame = pd.DataFrame(rows, columns=["quantity", "setting", "number", "value"])
    return frame.assign(seed=s)


def _transient_ridge(m: float, s: int) -> pd.DataFrame:
    evaluation = _evaluation(m, s)
    mean = evaluation[evaluation["position"].isna()]
    ood = mean[mean["distribution"] == "gaussian"].set_index("step")["loss"]
    near = mean[mean["distribution"] == "training"].set_index("step")
    t_crit = int(ood.idxmin())
    row = {
        "num_tasks": m, "seed": s, "t_crit": t_crit, "initial_ood_loss": ood[0],
        "least_ood_loss": ood[t_crit],
        "final_ood_loss": ood[T], "rise": ood[T] / ood[t_crit], "ridge_ood_loss": 1.7 + 0.01 * s,
    }  # fmt: skip
    for target in ("dmmse", "ridge"):
        row[f"distance_to_{target}_at_t_crit"] = near[f"distance_to_{target}"][t_crit]
        row[f"distance_to_{target}_at_end"] = near[f"distance_to_{target}"][T]
    for moment in ("at_t_crit", "at_end"):
        dmmse, ridge = row[f"distance_to_dmmse_{moment}"], row[f"distance_to_ridge_{moment}"]
        row[f"relative_distance_{moment}"] = math.nan if math.isinf(m) else dmmse / (dmmse + ridge)
    row |= {"root_distance_to_ridge_at_end": 0.3, "root_distance_to_nearest_dmmse_at_end": 0.4}
    row |= {"ridge_deflection": math.nan if math.isinf(m) else _special(m)}
    row |= {"transient": t_crit < T / 2 and ood[t_crit] <= 0.9 * ood[0] and row["rise"] >= 1.1}
    return pd.DataFrame([row])


def _free_energy(tables: Tables) -> Tables:
    sources = [tables[name] for name in ("evaluation", "predictors", "llc", "training")]
    table = free_energy_table(*sources, NATS)
    agreement = {"free_energy": table, "free_energy_agreement": agreement_table(table)}
    return agreement | _departure_prediction(table)


def _departure_prediction(free_energy: pd.DataFrame) -> Tables:
    """Predictions of about 1000 M^2 sequences, without a fit."""
    chosen = free_energy["estimate"].eq(ESTIMATE) & free_energy["outcome"].isin(KNOWN)
    runs = free_energy.loc[chosen, [*RUN_KEYS, *OUTCOME]]
    frames = []
    for place, (predictor, held_out) in enumerate(itertools.product(LAWS, SCHEMES)):
        n = (1000.0 + 10 * place) * runs["num_tasks"] ** 2
        frames.append(
            runs.assign(
                held_out=held_out, predictor=predictor, predicted_samples=n, predicted_low=n / 4,
                predicted_high=4 * n, error=0.1, covered=True,
                log_probability=-1.0 - 0.01 * place - 0.1 * (runs["num_tasks"] % 3),
            )
        )  # fmt: skip
    table = pd.concat(frames, ignore_index=True)
    words = {("baseline", predictor): "sigma=0.3 (0.2 to 0.5)" for predictor in LAWS}
    scores = scores_table(table, words)
    return {"departure_prediction": table, "departure_prediction_scores": scores}


def _claims() -> pd.DataFrame:
    rows = [
        ("transience", "OOD loss falls, then rises.", "2 of 3 <M> do & the rest do not.", "holds"),
        ("threshold", "Low M end near dMMSE_M.", "M = 8 does not.", "fails"),
        ("llc_plateau", "The LLC plateaus above M = 32.", "No M above 32.", "not testable"),
    ]
    frame = pd.DataFrame(rows, columns=["claim", "paper_says", "this_sweep_shows", "verdict"])
    return frame.assign(variant="baseline", criterion="Every M < 9 does.")


def side_by_side(*names: str, **sweeps: Tables) -> Tables:
    """Sweeps as variants of one: `names` are copies of `baseline`, which has to be among them."""
    each = {name: sweeps["baseline"] for name in names} | sweeps
    return {
        table: pd.concat(
            [sweep[table].assign(variant=name) for name, sweep in each.items()], ignore_index=True
        )
        for table in sweeps["baseline"]
    }
