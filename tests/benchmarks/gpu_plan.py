"""What a sweep would take on one GPU: time by stage, disk and memory, before anything was run.

    .venv/bin/python tests/benchmarks/gpu_plan.py                          # config/paper.yaml
    .venv/bin/python tests/benchmarks/gpu_plan.py --precision bf16
    .venv/bin/python tests/benchmarks/gpu_plan.py config/paper.yaml config/paper_subset.yaml
    .venv/bin/python tests/benchmarks/gpu_plan.py --measured cost.json     # paper_cost.py --save

Arithmetic, for a card of given rates (by default those of an H100). The work of a unit is counted
on tensors without numbers, so no GPU is needed: floating-point operations of matrix products by
PyTorch's counter, bytes that operations read and write, and how many operations there are. A unit
takes the longest of

- the GPU's time: products at the rate of their precision or of a copy, whichever is slower, and
  then all other operations at the rate of a copy. A training step is compiled, so of its others
  only norms and softmaxes count, as no compiler fuses these away: it takes at least so long;
- the host's time to launch the operations: one for training steps and indicators, which are
  recorded and replayed;
- the disk's time for the checkpoints that the unit reads or writes.

Measured seconds take the place of these where a file has them, by the names of the table:
{"train": 0.002} or, with the seconds of a job's start, {"train": {"unit": 0.002, "start": 60}}.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests/unit"), str(ROOT / "workflow/lib")]

from fake_cuda import fake_cuda  # noqa: E402
from gpu_work import Rates, Work, counted  # noqa: E402
from hour_run import update  # noqa: E402
from speed import NUMBER  # noqa: E402

from transience.complexity.indicators import INDICATORS, Probe, indicators  # noqa: E402
from transience.complexity.llc import choose_checkpoints  # noqa: E402
from transience.complexity.preconditioner import MEASURE_STEPS, Preconditioner  # noqa: E402
from transience.complexity.settings import (  # noqa: E402
    IndicatorSettings,
    LLCCurveSettings,
    LLCSettings,
    PerturbationScales,
)
from transience.complexity.sgld import PROBE_EVERY, sgld_step, side_by_side  # noqa: E402
from transience.evaluation.evaluate import DISTRIBUTIONS, MEASURES, EvaluationSet  # noqa: E402
from transience.model.hessian import hessian_product  # noqa: E402
from transience.model.loss_and_gradient import LossAndGradient  # noqa: E402
from transience.model.settings import ModelSettings  # noqa: E402
from transience.model.transformer import (  # noqa: E402
    Architecture,
    num_parameters,
    sequence_losses,
    unflatten,
)
from transience.planning.configuration import (  # noqa: E402
    completed,
    load,
    runs,
    variant_settings,
)
from transience.problem.ideal_predictors import dmmse, ridge  # noqa: E402
from transience.problem.settings import TaskSettings  # noqa: E402
from transience.training.phases import kept_steps  # noqa: E402
from transience.training.settings import CheckpointSettings, TrainingSettings  # noqa: E402
from transience.training.state import LOG_COLUMNS  # noqa: E402

DOUBLE = 8  # bytes
ON = {"device": "cuda:0"}
EIGENVALUES = 5  # n³ operations of an eigendecomposition, as its measured time says


# Stages


@dataclass(frozen=True)
class Stage:
    """A part of a job of a run, and how often a run does its unit."""

    name: str
    unit: str
    units: float
    work: Work
    precision: str = "float32"
    disk: float = 0  # bytes that a unit reads or writes
    kept: float = 0  # bytes of memory besides the peak of the work
    job: bool = True  # or the rest of one

    def seconds(self, rates: Rates) -> float:
        """Of a unit."""
        return max(self.work.seconds(self.precision, rates), self.disk / rates.disk)

    def start(self, rates: Rates) -> float:
        """Seconds of its job before the first unit."""
        return (rates.compilation if self.name == "train" else rates.start) if self.job else 0.0


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, all with the settings of its first variant."""

    config: dict[str, Any]  # completed

    @cached_property
    def settings(self) -> dict[str, Any]:
        return variant_settings(self.config, next(iter(self.config["variants"])))

    @cached_property
    def task(self) -> TaskSettings:
        return TaskSettings(**self.settings["task"])

    @cached_property
    def architecture(self) -> Architecture:
        return Architecture.of(self.task, ModelSettings(**self.settings["model"]))

    @cached_property
    def steps(self) -> list[int]:
        """Of the checkpoints of a run."""
        return kept_steps(
            TrainingSettings(**self.settings["training"]),
            CheckpointSettings(**self.settings["checkpoints"]),
        )[0]

    @property
    def num_runs(self) -> int:
        return len(runs(self.config))

    @property
    def row(self) -> int:
        """Bytes of a checkpoint."""
        return NUMBER * num_parameters(self.architecture)

    @cached_property
    def llc(self) -> LLCSettings:
        return LLCSettings(**self.settings["llc"])

    @cached_property
    def llc_curve(self) -> LLCCurveSettings:
        return LLCCurveSettings(**self.settings["llc_curve"])

    def weights(self, *stack: int, **on: Any) -> torch.Tensor:
        return torch.empty(*stack, num_parameters(self.architecture), **on or ON)

    def sequences(self, *size: int, **on: Any) -> tuple[torch.Tensor, torch.Tensor]:
        shape, on = (*size, self.task.num_examples), on or ON
        return torch.empty(*shape, self.task.task_dimension, **on), torch.empty(*shape, **on)

    def stages(self) -> Iterator[Stage]:
        """All that needs a GPU, in the order of the workflow."""
        yield self.train()
        yield self.evaluate()
        yield self.ideal_predictors()
        yield self.indicators()
        if self.llc.checkpoints:
            yield from self.of_the_llc()
            yield from self.of_the_curve()

    def train(self) -> Stage:
        settings = self.settings["training"]
        precision, steps = settings["precision"], settings["num_steps"]
        # By hand, which multiplies no more than it must; autograd asks a GPU about itself
        rounding = torch.Tensor.bfloat16 if precision == "bf16" else None
        gradient = LossAndGradient(self.architecture, rounding)
        with fake_cuda():
            vector, batch = self.weights(), self.sequences(settings["batch_size"])
            gradient(vector, *batch)  # makes its work space
            work = counted(lambda: gradient(vector, *batch), fused=True)
        adam = 7 * self.row  # reads gradient, weights, moments; writes the last three
        work += Work(other_bytes=adam)
        disk = self.row * len(self.steps) / steps
        return Stage(
            "train", "step", steps, replace(work, launches=1), precision, disk, 4 * self.row
        )

    def evaluate(self) -> Stage:
        sizes = [self.settings["evaluation"]["num_sequences"]] * len(DISTRIBUTIONS)
        sizes.append(self.settings["probe"]["num_sequences"])
        model = LossAndGradient(self.architecture)
        with fake_cuda():
            vector, (xs, ys) = self.weights(), self.sequences(sum(sizes))
            sets = [
                EvaluationSet(*each)
                for each in zip(*(t.split(sizes) for t in (xs, ys, ys, ys)), strict=True)
            ]

            def checkpoint() -> None:
                parts = model.predict(vector, xs, ys).split(sizes)
                [one.measure(part) for one, part in zip(sets[:-1], parts, strict=False)]

            work = counted(checkpoint)
        found = len(self.steps) * NUMBER * sizes[-1] * self.task.num_examples
        return Stage("evaluate", "checkpoint", len(self.steps), work, disk=self.row, kept=found)

    def ideal_predictors(self) -> Stage:
        """Those of the largest task set, for which dMMSE takes longest."""
        finite = [
            int(num_tasks) for _, num_tasks, _ in runs(self.config) if math.isfinite(num_tasks)
        ]
        count = len(DISTRIBUTIONS) * self.settings["evaluation"]["num_sequences"]
        xs, ys = self.sequences(count + self.settings["probe"]["num_sequences"], device="meta")
        tasks = (
            torch.empty(max(finite), self.task.task_dimension, device="meta") if finite else None
        )
        noise = {"noise_variance": self.task.noise_variance}
        work = counted(lambda: (dmmse(xs, ys, tasks, **noise), ridge(xs, ys, **noise)))
        name = f"evaluate: ideal predictors, M = {max(finite, default=math.inf)}"
        return Stage(name, "run", 1, work, "float64", job=False)

    def indicators(self) -> Stage:
        settings = IndicatorSettings(**self.settings["indicators"])
        scales = PerturbationScales(nbeta=self.llc.nbeta, gamma=self.llc.gamma)
        model = LossAndGradient(self.architecture)
        with fake_cuda():
            vector, batch = self.weights(), self.sequences(settings.batch_size)
            model(vector, *(part[: settings.batch_size // 2] for part in batch))
            probes = [Probe(batch, vector, vector)]
            one = counted(lambda: indicators(model, model.losses, vector, probes, scales))
        work = replace(one.times(settings.num_probes), launches=1)
        kept = 2 * settings.num_probes * self.row
        return Stage("indicators", "checkpoint", len(self.steps), work, disk=self.row, kept=kept)

    def of_the_llc(self) -> Iterator[Stage]:
        """SGLD, and what is done once a checkpoint: curvature, and losses on all sequences."""
        s, count = self.llc, len(choose_checkpoints(self.steps, self.llc.checkpoints))
        draws = s.num_chains * (s.num_burn_in + s.num_draws)
        kept = 3 * s.lanczos_steps * self.row  # basis, Ritz vectors, and those that are stiff
        yield Stage("llc", "chain-step", count * draws, self.chain_step(), kept=kept)
        once = self.products(s.lanczos_sequences).times(s.lanczos_steps + MEASURE_STEPS)
        once += self.all_losses()
        yield Stage("llc: curvature, all losses", "checkpoint", count, once, kept=kept, job=False)

    def of_the_curve(self) -> Iterator[Stage]:
        """SGLD at other h*, and what is done once a checkpoint: quadrature besides."""
        s, curve, samples = self.llc, self.llc_curve, len(self.llc_curve.sampled_h_star)
        count = len(choose_checkpoints(self.steps, curve.checkpoints))
        draws = samples * s.num_chains * (s.num_burn_in + s.num_draws)
        kept = 3 * max(s.lanczos_steps, curve.lanczos_steps) * self.row
        yield Stage("llc_curve", "chain-step", count * draws, self.chain_step(), kept=kept)
        few = s.lanczos_steps + samples * MEASURE_STEPS
        once = self.products(s.lanczos_sequences).times(few)
        once += self.products(curve.num_sequences).times(curve.num_probes * curve.lanczos_steps)
        once += self.all_losses().times(samples)
        name = "llc_curve: quadrature, curvature, all losses"
        yield Stage(name, "checkpoint", count, once, kept=kept, job=False)

    def chain_step(self) -> Work:
        """A draw of one of the chains that go side by side, all directions seen being stiff."""
        s, on, shape = self.llc, {"device": "meta"}, self.architecture
        w, batch = (
            self.weights(s.num_chains, **on),
            self.sequences(s.num_chains, s.batch_size, **on),
        )
        seen = torch.empty(s.lanczos_steps, **on)
        metric = Preconditioner(self.weights(s.lanczos_steps, **on), seen, 1.0, 1.0)
        stacked = side_by_side(
            lambda one, xs, ys: sequence_losses(unflatten(one, shape), xs, ys, shape)
        )
        gradient = counted(lambda: stacked(w, *batch)).times(1 + 1 / PROBE_EVERY)
        moved = counted(lambda: sgld_step(w, w, w[0], w.normal_(), s.sampler(0), metric))
        return (gradient + moved).times(1 / s.num_chains)

    def products(self, num_sequences: int) -> Work:
        """A product with the Hessian on so many sequences."""
        model = LossAndGradient(self.architecture)
        with fake_cuda():
            vector, batch = (
                self.weights(),
                self.sequences(min(num_sequences, self.llc.num_sequences)),
            )
            product = hessian_product(model, vector, *batch)
            product(vector)
            return counted(lambda: product(vector))

    def all_losses(self) -> Work:
        """Losses on the whole data set: of w*, and of the mean of all and of all chains but one."""
        s, model = self.llc, LossAndGradient(self.architecture)
        with fake_cuda():
            vector, batch = self.weights(), self.sequences(s.batch_size)
            one = counted(lambda: model.losses(vector, *batch))
        return one.times(math.ceil(s.num_sequences / s.batch_size) * (2 + s.num_chains))

    def on_a_cpu(self) -> dict[str, float]:
        """Operations in float64 of what is done once, for each variant and seed, by one thread."""
        groups = {(variant, seed) for variant, _, seed in runs(self.config)}
        examples, sequences = self.task.num_examples, self.settings["probe"]["num_sequences"]
        rows = len(self.steps) * self.num_runs // len(groups)
        sizes = [4**power for power in range(10) if 4**power < sequences]

        def fit(rows: int, columns: int) -> float:
            least = min(rows, columns)
            return 2 * rows * columns * least + EIGENVALUES * least**3

        whole = fit(rows, sequences * examples)
        parts = sum(fit(rows, size * examples) for size in sizes)
        # `robustness` fits all checkpoints twice, and either schedule's, together about once more
        return {
            "Joint PCA": len(groups) * whole,
            "Its robustness": len(groups) * (3 * whole + parts),
        }

    def disk(self) -> dict[str, float]:
        """Bytes of a run by kind of file; of tables uncompressed, and without a row's keys."""
        tasks, s, count = self.task, self.settings, len(self.steps)
        measured = len(MEASURES) * len(DISTRIBUTIONS) * (tasks.num_examples + 1)
        tables = count * DOUBLE * (measured + 2 * len(INDICATORS))
        tables += (
            len(LOG_COLUMNS) * DOUBLE * s["training"]["num_steps"] / s["training"]["log_every"]
        )
        if self.llc.checkpoints:
            draws = self.llc.num_chains * (self.llc.num_burn_in + self.llc.num_draws)
            tables += 3 * DOUBLE * draws * len(self.llc.checkpoints)
        predictions = s["probe"]["num_sequences"] * tasks.num_examples
        return {
            "checkpoints": count * self.row,
            "predictions on the probe": (count + 2) * NUMBER * predictions,
            "other tables": tables,
        }


# Tables


class Line(NamedTuple):
    """A stage in the table."""

    stage: Stage
    unit: float  # seconds
    start: float  # seconds
    source: str

    @property
    def hours(self) -> float:
        """Of a run."""
        return (self.start + self.stage.units * self.unit) / 3600


def lines(plan: Plan, rates: Rates, measured: dict[str, Any]) -> list[Line]:
    """What each stage takes, as measured, or else by its roofline."""
    found = []
    for stage in plan.stages():
        unit, start, source = stage.seconds(rates), stage.start(rates), "roofline"
        if stage.name in measured:
            given = measured[stage.name]
            given = given if isinstance(given, dict) else {"unit": given}
            unit, start, source = given["unit"], given.get("start", start), "measured"
        found.append(Line(stage, unit, start, source))
    unknown = measured.keys() - {line.stage.name for line in found}
    if unknown:
        raise SystemExit(f"measured: expected stages, found {', '.join(sorted(unknown))}")
    return found


HEADER = (
    "| stage | unit | units a run | TFLOP | GB | launches | ms a unit | from | s to start "
    "| h a run | h the sweep | GPU GB |"
)


def table(plan: Plan, found: list[Line]) -> Iterator[str]:
    """Of the time, in Markdown."""
    yield from (HEADER, f"{'|---' * HEADER.count(' | ')}|---|")
    for line in found:
        stage, work = line.stage, line.stage.work
        moved, peak = work.product_bytes + work.other_bytes, work.peak + stage.kept
        cells = [
            *(stage.name, stage.unit, f"{stage.units:,.0f}", f"{work.flop / 1e12:.3g}"),
            *(f"{moved / 1e9:.3g}", f"{work.launches:,.0f}", f"{1e3 * line.unit:.3g}"),
            *(line.source, f"{line.start:.0f}", f"{line.hours:.3f}"),
            *(f"{plan.num_runs * line.hours:.2f}", f"{peak / 1e9:.1f}"),
        ]
        yield f"| {' | '.join(cells)} |"
    total = sum(line.hours for line in found)
    yield f"| all |  |  |  |  |  |  |  |  | {total:.3f} | {plan.num_runs * total:.2f} |  |"


def totals(plan: Plan, found: list[Line], rates: Rates) -> Iterator[str]:
    """What the stages weigh against each other, what takes no GPU, and disk."""
    train, *others = found
    watched = sum(o.hours for o in others if o.stage.name.startswith(("evaluate", "indicators")))
    yield f"- Evaluation and indicators take {watched / train.hours:.2f} of the time of training."
    flop = train.stage.units * train.stage.work.flop
    yield f"- Training is {flop:.2g} FLOP a run, {plan.num_runs * flop:.2g} in all."
    for name, operations in plan.on_a_cpu().items():
        yield f"- {name}: {operations / rates.cpu:.0f} s of one CPU thread, once."
    yield "- Not counted: collecting, departures, claims, figures, report."
    yield from ("", "| disk | GB a run | GB in all |", "|---|---|---|")
    for name, size in plan.disk().items():
        yield f"| {name} | {size / 1e9:.3g} | {plan.num_runs * size / 1e9:.3g} |"


def plan_of(files: list[str], precision: str | None = None) -> Plan:
    """Of configurations, each over the one before."""
    config: dict[str, Any] = {}
    for file in files:
        update(config, load(file))
    if precision:
        config["training"] = config["training"] | {"precision": precision}
    return Plan(completed(config))


def main() -> None:
    """Print the plan in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", default=[str(ROOT / "config/paper.yaml")])
    parser.add_argument("--precision", choices=("float32", "tf32", "bf16"), help="of training")
    parser.add_argument("--measured", type=Path, help="JSON: seconds a unit by stage")
    for name, value in Rates()._asdict().items():
        parser.add_argument(f"--{name}", type=float, default=value, help=f"{value:g}")
    flags = parser.parse_args()
    rates = Rates(**{name: getattr(flags, name) for name in Rates._fields})
    measured = json.loads(flags.measured.read_text()) if flags.measured else {}
    plan = plan_of(flags.files, flags.precision)
    found = lines(plan, rates, measured)
    print(", ".join(f"{name} {value:g}" for name, value in rates._asdict().items()), end="\n\n")
    for line in (*table(plan, found), "", *totals(plan, found, rates)):
        print(line)


if __name__ == "__main__":
    main()
