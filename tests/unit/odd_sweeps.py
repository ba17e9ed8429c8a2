"""Odd but legitimate sweeps: drawn by a seeded generator, and run to the end in this process."""

import importlib
import json
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from matplotlib.figure import Figure

from transience.figures.captions import captions, of_sweep
from transience.figures.draw import save
from transience.files.tables import schemas
from transience.planning import configuration
from transience.problem.diversity import format_num_tasks
from transience.problem.settings import FAMILIES
from transience.training.detectors import DETECTORS
from transience.verify.files import CHECKPOINTS, ENDS, ON_DEMAND

DEFAULTS = Path(__file__).parents[2] / "config/config.yaml"
SMALL = {
    "experiment": "odd",
    "sweep": {"num_tasks": [1, 4, "inf"], "seeds": [0]},
    "task": {"task_dimension": 2, "num_examples": 4, "noise_variance": 0.125},
    "model": {"width": 8, "num_layers": 1, "num_heads": 1, "mlp_width": 4},
    "training": {"num_steps": 12, "batch_size": 4, "warmup_steps": 0, "log_every": 1},
    "checkpoints": {"linear_every": 4, "logarithmic_count": 3},
    "evaluation": {"num_sequences": 8},
    "probe": {"num_sequences": 5},
    "llc": {
        "checkpoints": ["final"], "step_size": 1e-5, "nbeta": 50.0, "gamma": 100.0,
        "num_chains": 2, "num_draws": 8, "num_burn_in": 2, "batch_size": 4, "num_sequences": 16,
        "lanczos_steps": 4, "lanczos_sequences": 8,
    },
    "llc_curve": {
        "checkpoints": ["final"], "h_star": [10.0, 0.1], "sampled_h_star": [10.0],
        "num_probes": 2, "lanczos_steps": 3, "num_sequences": 8,
    },
    "indicators": {"num_probes": 2, "batch_size": 4},
    "figures": {"dpi": 50, "smoothing_window": 1},
}  # fmt: skip
OF_A_RUN = {  # commands by module: the sections that each reads, and its files
    "training": ("task model training checkpoints", [CHECKPOINTS, "states", "training", "signals"]),
    "evaluation": ("task model evaluation probe", ["evaluation", "predictors", "front", "probe"]),
    "complexity.llc": ("task model llc", ["llc", "llc_trace"]),
    "complexity.llc_curve": ("task model llc llc_curve", ["llc_curve"]),
    "complexity.indicators": ("task model indicators llc.nbeta llc.gamma", ["indicators"]),
}
OF_THE_SWEEP = {
    "complexity.no_llc": ("llc.checkpoints", "indicators llc llc_trace llc_curve"),
    "trajectories.joint_pca": ("trajectory_pca", "trajectory_pca trajectory_pca_components"),
    "trajectories.robustness": ("", "trajectory_pca trajectory_subspace"),
    "departure.transient_ridge": (
        "", "evaluation predictors trajectory_pca transient_ridge"
    ),
    "departure.free_energy": (
        "task variants", "evaluation predictors llc training free_energy free_energy_agreement"
    ),
    "departure.held_out": (
        "task variants", "free_energy departure_prediction departure_prediction_scores"
    ),
    "departure.alarms": ("", "evaluation training signals alarms"),
    "departure.interventions": (
        "training variants", "evaluation training front interventions intervention_effects"
    ),
    "departure.scaling": (
        "task model training variants",
        "evaluation transient_ridge scaling_points scaling extrapolation",
    ),
    "departure.branch_trajectories": ("training variants trajectory_pca", "branch_trajectories"),
    "complexity.indicator_agreement": ("", "indicators llc indicator_agreement"),
}  # fmt: skip
READ_PROBES = ("trajectories.joint_pca", "trajectories.robustness", "departure.transient_ridge")
READ_PROBES += ("departure.branch_trajectories",)

Config = dict[str, Any]


def small(**changes: dict[str, Any]) -> Config:
    """A complete configuration of a small sweep, with other keys in its sections."""
    config = yaml.safe_load(DEFAULTS.read_bytes())
    for sections in (SMALL, changes):
        for name, value in sections.items():
            merged = isinstance(value, dict) and name != "variants"
            config[name] = config[name] | value if merged else value
    return configuration.completed(config)


# Drawing


def drawn(number: int) -> Config:
    """The odd sweep of this number: any M, variants, an LLC that diverges or is off."""
    dice = random.Random(number)
    width = dice.choice([1, 1, 2, 3, 8])
    steps = dice.choice([1, 1, 2, 7, 20])
    changes = {
        "sweep": _sweep(dice),
        "task": _task(dice),
        "model": {
            "width": width,
            "num_heads": dice.choice([n for n in (1, 2, 3) if width % n == 0]),
            "num_layers": dice.choice([1, 2]),
            "mlp_width": dice.choice([1, 4]),
            "doubled_residual": dice.random() < 0.2,
            "output_projection": dice.random() < 0.2,
        },
        "training": {
            "num_steps": steps,
            "learning_rate": dice.choice([1e-30, 1e-3, 1e-2, 10.0]),
            "log_every": dice.randint(1, steps),
            "divergence_loss": 1e12,
            "batch_size": dice.choice([1, 4]),
        },
        "checkpoints": {
            "linear_every": dice.randint(1, steps),
            "logarithmic_count": dice.choice([2, 5]),
        },
        "evaluation": {"num_sequences": dice.choice([1, 2, 8])},
        "probe": {"num_sequences": dice.choice([1, 2, 5])},
        "llc": {
            "step_size": dice.choice([1e-30, 1e-5, 1e-5, 10.0]),
            "nbeta": dice.choice([1e-3, 50.0, 1e6]),
            "gamma": dice.choice([0.0, 100.0]),
            "num_draws": dice.choice([4, 8]),
            "num_burn_in": dice.choice([0, 2]),
            "checkpoints": dice.choice([["final"], [0], [0.5, "final"]]),
            "data_mode": dice.choice(["fixed", "fresh"]),
        },
        "trajectory_pca": {"num_components": dice.choice([2, 3, 4])},
        "figures": {"smoothing_window": dice.choice([1, 5])},
        "variants": _variants(dice),
    }
    if dice.random() > 0.9:  # drawn last, and all else is drawn as before
        changes["llc"]["checkpoints"] = []
    changes["llc"]["lanczos_steps"] = dice.choice([0, 1, 4])
    changes["llc_curve"] = {"sampled_h_star": dice.choice([[], [10.0], [1e-6, 3]])}
    if "baseline" in changes["variants"] and dice.random() < 0.5:
        changes["checkpoints"]["states"] = ["all"]
        changes["variants"] |= _interventions(dice, steps)
    changes["task"]["family"] = dice.choice(["linear", *FAMILIES])
    if dice.random() < 0.3:
        stop = {"detector": dice.choice([*DETECTORS]), "threshold": dice.choice([1e-9, 0.1])}
        changes["training"]["stop_when"] = stop | dice.choice([{}, {"cooldown_steps": 3}])
    return small(**changes)


def _interventions(dice: random.Random, num_steps: int) -> Config:
    """A variant with a phase, one that branches from the baseline, or both."""
    phase = {"begin": dice.randrange(num_steps)} | dice.choice(
        [
            {"fresh_fraction": 0.5}, {"task_drift": 0.1}, {"num_tasks": "inf"}, {"batch_size": 2},
            {"weight_decay": 1e-3}, {"learning_rate_factor": 0.0, "learning_rate_course": "cosine"},
        ]
    )  # fmt: skip
    branch = {"variant": "baseline", "step": dice.choice([0, num_steps])}
    branch |= dice.choice([{}, {"num_steps": 3}])
    found = {
        "phased": {"training": {"phases": [phase]}},
        "branch": {"training": {"branch": branch}},
    }
    return {name: found[name] for name in dice.choice([["phased"], ["branch"], [*found]])}


def _sweep(dice: random.Random) -> Config:
    choice = [1, 2, 3, 4, 9, 3000, "inf"]
    seeds = dice.sample([0, 1, 7, 2**32 - 1], dice.choice([1, 1, 2, 3]))
    return {"num_tasks": dice.sample(choice, dice.choice([1, 1, 2, 3])), "seeds": seeds}


def _task(dice: random.Random) -> Config:
    return {
        "task_dimension": dice.choice([1, 1, 2, 5]),
        "num_examples": dice.choice([2, 2, 3, 6]),
        "noise_variance": dice.choice([1e-6, 0.125, 1e6]),
    }


def _variants(dice: random.Random) -> Config:
    """Mostly the baseline alone; else one that differs in M and seeds, task, model or training."""
    others = {
        "a": {"sweep": {"num_tasks": ["inf"], "seeds": [5]}},
        "b": {"task": _task(dice), "model": {"mlp_width": 2}},
        "c": {"training": {"learning_rate": 0.1}, "sweep": {"num_tasks": [2]}},
    }
    names = dice.choice([[], [], [], ["a"], ["b"], ["c"], ["a", "c"]])
    shown = {} if names and dice.random() < 0.3 else {"baseline": {}}
    return shown | {name: others[name] for name in names}


# Running


class Chain:
    """All commands of a sweep, in the order of the workflow, with results below a folder."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder, self.config = folder, config
        self.runs = configuration.runs(config)
        self.left_out = configuration.tables_left_out(config)

    def table(self, name: str, run: tuple[str, float, int] | None = None) -> Path:
        """A table of the sweep, or of a run."""
        place = f"runs/{configuration.run_folder(*run)}" if run else "tables"
        kind = "safetensors" if name in (CHECKPOINTS, "states") else "parquet"
        return self.folder / place / f"{name}.{kind}"

    def figure(self, name: str, kind: str = "png") -> Path:
        """A figure's file."""
        return self.folder / f"figures/{name}.{kind}"

    def commands(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Every command by what it makes."""
        for run in self.runs:
            for module, (_, made) in OF_A_RUN.items():
                if self.left_out & {*made}:
                    continue
                yield f"{module} of {run}", lambda run=run, module=module: self._of_run(module, run)
        not_collected = {*ON_DEMAND, *self.left_out}
        for name, schema in schemas().items():
            if {"runs", "tables"} <= {*schema.files} and name not in not_collected:
                yield f"table {name}", lambda name=name: self._collect(name)
        for module in OF_THE_SWEEP:
            if module == "complexity.no_llc" and not self.left_out:
                continue
            yield module, lambda module=module: self._of_sweep(module)
        yield "claims", self._claims
        for name in of_sweep(self.config):
            yield f"figure {name}", lambda name=name: self._figure(name)
        yield "report", self._report

    def _of_run(self, module: str, run: tuple[str, float, int]) -> None:
        reads, names = OF_A_RUN[module]
        files = {name: self.table(name, run) for name in dict.fromkeys([CHECKPOINTS, *names])}
        variant, num_tasks, seed = run
        keys = {"variant": variant, "num_tasks": format_num_tasks(num_tasks), "seed": seed}
        state = {"state_dir": self.folder / "state"}
        keys |= state if module in ("training", "complexity.llc") else {}
        settings = configuration.variant_settings(self.config, variant)
        if module == "training" and (parent := settings["training"]["branch"].get("variant")):
            names = (CHECKPOINTS, "states", "training", "signals")
            files |= {f"parent_{name}": self.table(name, (parent, *run[1:])) for name in names}
        call(module, self._settings(settings, reads), keys | files)

    def _settings(self, settings: Config, reads: str = "") -> str:
        return configuration.as_parameter(settings, *reads.split(), experiment="odd")

    def _collect(self, name: str) -> None:
        files = {"inputs": [self.table(name, run) for run in self.runs], "table": name}
        call("collect", self._settings(self.config), files | {"output": self.table(name)})

    def _of_sweep(self, module: str) -> None:
        reads, names = OF_THE_SWEEP[module]
        files = {name: self.table(name) for name in names.split()}
        if module in READ_PROBES:
            files["probes"] = [self.table("probe", run) for run in self.runs]
        call(module, self._settings(self.config, reads), files)

    def _claims(self) -> None:
        names = {
            "evaluation",
            "predictors",
            "llc",
            "llc_curve",
            "transient_ridge",
            "trajectory_pca",
        }
        names |= {"trajectory_pca_components", "trajectory_subspace", "free_energy"}
        names |= {"free_energy_agreement", "departure_prediction_scores", "interventions"}
        tables = [self.table(name) for name in sorted(names)]
        files = {"tables": tables, "claims": self.table("claims")}
        call("claims", self._settings(self.config), files)

    def _figure(self, place: str) -> None:
        variant, _, name = place.rpartition("/")
        reads = (captions() | captions("comparison"))[name].reads
        files = {"tables": [self.table(table) for table in reads], "figure": name}
        files |= {"variant": variant} if variant else {}
        files |= {kind: self.figure(place, kind) for kind in ("png", "pdf")}
        call("figures", self._settings(self.config, "figures"), files)

    def _report(self) -> None:
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config | {"configuration_files": []}))
        names = ("claims", "transient_ridge", "llc", "training", "evaluation", "trajectory_pca")
        tables = [self.table(name) for name in (*names, "trajectory_pca_components")]
        files = {"tables": tables, "figures": [*map(self.figure, of_sweep(self.config))]}
        files |= {"configuration": path, "report": self.folder / "report.html"}
        call("report", self._settings(self.config), files)


def save_png_only(figure: Figure, paths: Sequence[Path], *, dpi: int) -> None:
    """In place of `figures.draw.save`: the PDF, which takes twice as long, is made up."""
    pdf, png = paths
    save(figure, [png], dpi=dpi)
    pdf.write_bytes(b"whole to its end " + ENDS[".pdf"])


def call(module: str, settings: str, flags: dict[str, Any]) -> None:
    """Run a command's `main` in this process, as its words on the command line would."""
    words = [module, "--settings", settings, "--code", "0", "--device", "cpu"]
    for name, value in flags.items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    main = importlib.import_module(f"transience.{module}")
    if not hasattr(main, "main"):
        main = importlib.import_module(f"transience.{module}.__main__")
    with patch("sys.argv", words), _signals_kept():
        main.main()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Training takes SIGTERM and SIGINT for itself."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
