"""Runs of a sweep by the workflow's own commands, some at a time, as far as the time goes."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hour_record import SIZES, Plan, Record

from transience.complexity.summary import llc_by_run
from transience.files.selections import mean_over_positions, of_last_step
from transience.files.tables import read_table
from transience.planning.code_digest import code_digest
from transience.planning.configuration import (
    Config,
    as_parameter,
    completed,
    run_folder,
    variant_settings,
)
from transience.planning.yaml_files import DEFAULTS, load
from transience.problem.diversity import parse_num_tasks

ROOT = Path(__file__).parents[2]
VARIANT, SEED = "baseline", 0

# Rules of a run, in order: module, and what it writes. All but the first read the checkpoints.
STAGES = {
    "train": ("transience.training", ("checkpoints", "states", "training", "signals")),
    "evaluate": ("transience.evaluation", ("evaluation", "predictors", "front", "probe")),
    "llc": ("transience.complexity.llc", ("llc", "llc_trace")),
    "indicators": ("transience.complexity.indicators", ("indicators",)),
    "llc_curve": ("transience.complexity.llc_curve", ("llc_curve",)),
}
RESUMABLE = ("train", "llc")  # these keep a state
COLLECTED = ("training", "evaluation", "predictors", "llc", "llc_curve", "indicators")
LARGE = {"checkpoints": "checkpoints.safetensors", "probe": "probe.parquet"}
TO_SAVE = 15.0  # seconds before the end of a call in which a training saves its state
LEAST = 10.0  # seconds for which a command is worth its start


class OutOfTimeError(Exception):
    """The call is over before a command is."""


def run(plan: Plan, record: Record) -> None:
    """Take every M through all stages, and make the tables of those that are through."""
    config = configuration(plan, plan.steps)
    write_configuration(plan, config)
    every = {f"M={num_tasks}": OneRun(plan, config, num_tasks) for num_tasks in plan.num_tasks}
    of_tables, out_of_time = threading.Lock(), []

    def follow(name: str) -> None:
        try:
            take_through(every[name], name, record)
            with of_tables:
                through = [one for one in every.values() if one.through()]
                if every[name] in through and tables_are_old(through):
                    attempt("tables", table_jobs(through), record)
        except OutOfTimeError as error:
            out_of_time.append(str(error))

    with ThreadPoolExecutor(plan.side_by_side) as pool:
        list(pool.map(lambda name: record.guard(partial(follow, name)), every))
    if out_of_time:
        told = "; ".join(dict.fromkeys(out_of_time))
        record.note(f"{told}: the call is over; the next one goes on from there")
    else:
        record.finish()
    for name, one in every.items():
        record.measure(name, summary(one))


def take_through(one: "OneRun", name: str, record: Record) -> None:
    """Do the stages of a run that are left to be done; without a training there are none."""
    for stage in STAGES:
        if stage != "train" and not one.done("train"):
            return
        if not one.done(stage):
            attempt(f"{stage} {name}", [one.job(stage)], record)


def attempt(name: str, jobs: "Iterable[Job]", record: Record) -> None:
    """Run some commands as one stage of the record, which is told if one of them fails."""
    with record.stage(name):
        for job in jobs:
            try:
                job.make()
            except RuntimeError as error:
                record.fail(f"{name}: {error}")
                return


# Configuration


def configuration(plan: Plan, steps: int | None = None) -> Config:
    """That of the plan's size, with its M, or of a shorter training under a name of its own."""
    whole = load(DEFAULTS)
    for name in SIZES[plan.size]:
        update(whole, load(ROOT / "config" / name))
    num_tasks = [text if text == "inf" else int(text) for text in plan.num_tasks]
    whole["sweep"] = {"num_tasks": num_tasks, "seeds": [SEED]}
    whole["llc_calibration"] |= {"num_tasks": ["all"], "seeds": ["all"]}
    whole["execution"]["device"] = plan.device
    if steps:
        shorten(whole, steps)
    return completed(whole)


def write_configuration(plan: Plan, config: Config) -> None:
    """Keep it beside the results, as the workflow does."""
    files = [os.path.relpath(DEFAULTS, ROOT), *(f"config/{name}" for name in SIZES[plan.size])]
    path = plan.out / config["experiment"] / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_parameter(config, *config, configuration_files=files))


def update(whole: Config, changes: Config) -> None:
    """Write changes over a configuration, key by key, as Snakemake does."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(whole.get(key), dict):
            update(whole[key], value)
        else:
            whole[key] = value


def shorten(whole: Config, steps: int) -> None:
    """Train for so many steps only, with the same share of them to warm up."""
    training, checkpoints = whole["training"], whole["checkpoints"]
    share = training["warmup_steps"] / training["num_steps"]
    training |= {"num_steps": steps, "warmup_steps": round(share * steps)}
    checkpoints["linear_every"] = min(checkpoints["linear_every"], steps)
    whole["experiment"] += f"-{steps}-steps"


# Commands


@dataclass(frozen=True)
class Job:
    """A command of the workflow, called as its rule calls it."""

    plan: Plan
    config: Config
    module: str
    flags: dict[str, Any]  # by their names in the rule
    log: Path

    def start(self) -> subprocess.Popen:
        """Start it; what it says goes to the end of its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        paths = [str(ROOT / "workflow/lib"), os.environ.get("PYTHONPATH")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with self.log.open("a") as log:
            words = self._words()
            return subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def make(self) -> None:
        """Run it to its end; OutOfTimeError if the call ends first, RuntimeError if it fails."""
        left = self.plan.seconds_left() - TO_SAVE
        if left < LEAST:
            raise OutOfTimeError(f"{self.module} not started")
        process = self.start()
        try:
            process.wait(left)
        except subprocess.TimeoutExpired:
            if stop(process) != 0:
                raise OutOfTimeError(self.last_line()) from None
        if process.returncode:
            raise RuntimeError(f"exit status {process.returncode}: {self.last_line()}")

    def last_line(self) -> str:
        lines = self.log.read_text().split("\n") if self.log.exists() else []
        return next((line for line in reversed(lines) if line.strip()), "nothing in its log")

    def _words(self) -> list[str]:
        names = reads_of_rules()[self.module].split()
        chosen = variant_settings(self.config, VARIANT) if "variant" in self.flags else self.config
        settings = as_parameter(chosen, *names, experiment=self.config["experiment"])
        words = [sys.executable, "-m", self.module, "--settings", settings]
        words += ["--code", code_digest(self.module), "--device", self.plan.device]
        words += ["--threads", str(self.config["execution"]["threads"])]
        for name, value in self.flags.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
        return words


def stop(process: subprocess.Popen) -> int:
    """End a command by a signal, at which a training saves its state; its exit status."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(TO_SAVE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def reads_of_rules() -> dict[str, str]:
    """What each module reads of the configuration, as the rule files say."""
    rules = [path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk"))]
    found = re.findall(r'\bcommand\(\s*"([\w.]+)"(?:,\s*"([\w. ]+)")?', "\n".join(rules))
    return dict(found)


# Runs


@dataclass(frozen=True)
class OneRun:
    """A run of a configuration: its files, and the commands that make them."""

    plan: Plan
    config: Config
    num_tasks: str

    def file(self, name: str) -> Path:
        """Where a file stands: small ones with what is kept."""
        folder = self.plan.scratch if name in LARGE else self.plan.out
        run = run_folder(VARIANT, parse_num_tasks(self.num_tasks), SEED)
        return (
            folder / self.config["experiment"] / "runs" / run / LARGE.get(name, f"{name}.parquet")
        )

    def done(self, stage: str) -> bool:
        """Whether all that a stage writes is there."""
        return all(self.file(name).exists() for name in STAGES[stage][1])

    def through(self) -> bool:
        """Whether all stages are done."""
        return all(map(self.done, STAGES))

    def state_folder(self, stage: str) -> Path:
        """Where a stage keeps what it goes on from."""
        return self.plan.scratch / self.config["experiment"] / f"{stage}_M{self.num_tasks}"

    def job(self, stage: str, **more: object) -> Job:
        """The command of a stage, with more flags."""
        module, outputs = STAGES[stage]
        names = ("checkpoints", *outputs) if stage != "train" else outputs
        flags = {"variant": VARIANT, "num_tasks": self.num_tasks, "seed": SEED}
        flags |= {name: self.file(name) for name in names}
        if stage in RESUMABLE:
            flags["state_dir"] = self.state_folder(stage)
        log = self.plan.out / "logs" / f"{self.config['experiment']}_{stage}_M{self.num_tasks}.log"
        return Job(self.plan, self.config, module, flags | more, log)


def table_jobs(through: list[OneRun]) -> list[Job]:
    """Tables of the sweep, up to those that need what is too large to keep."""
    plan, config = through[0].plan, through[0].config
    log = plan.out / "logs" / f"{config['experiment']}_tables.log"
    probes = [one.file("probe") for one in through]

    def job(module: str, inputs: dict[str, Any], *outputs: str) -> Job:
        written = {name: table(through, name) for name in outputs}
        return Job(plan, config, f"transience.{module}", inputs | written, log)

    collected = [
        Job(plan, config, "transience.collect", {"table": name} | files, log)
        for name in COLLECTED
        for files in [
            {"inputs": [one.file(name) for one in through], "output": table(through, name)}
        ]
    ]
    of_pca = ("trajectory_pca", "trajectory_pca_components")
    read = {name: table(through, name) for name in ("evaluation", "predictors", "trajectory_pca")}
    return [
        *collected,
        job("trajectories.joint_pca", {"probes": probes}, *of_pca),
        job("departure.transient_ridge", {"probes": probes, **read}, "transient_ridge"),
    ]


def table(through: list[OneRun], name: str) -> Path:
    """Where a table of the sweep stands."""
    return through[0].plan.out / through[0].config["experiment"] / "tables" / f"{name}.parquet"


def tables_are_old(through: list[OneRun]) -> bool:
    """Whether the last of the tables is missing, lacks a run or is older than one."""
    last = table(through, "transient_ridge")
    if not last.exists():
        return True
    there = set(read_table(last, "transient_ridge")["num_tasks"])
    newest = max(one.file("llc_curve").stat().st_mtime for one in through)
    expected = {parse_num_tasks(one.num_tasks) for one in through}
    return there != expected or last.stat().st_mtime < newest


# What a run gave


def summary(one: OneRun) -> dict[str, Any]:
    """The ends of a run's training, evaluation and LLC, as far as there are any."""
    found: dict[str, Any] = {}
    for stage, summarise in (("train", of_training), ("evaluate", of_evaluation), ("llc", of_llc)):
        if one.done(stage):
            found |= summarise(one)
    return found


def of_training(one: OneRun) -> dict[str, Any]:
    """Steps, time of a step (checkpoints included), and loss of the last batch."""
    last = read_table(one.file("training"), "training").iloc[-1]
    return {
        "steps": int(last["step"]),
        "ms a step": 1e3 * last["seconds"] / last["step"],
        "final batch loss": last["batch_loss"],
    }


def of_evaluation(one: OneRun) -> dict[str, Any]:
    """Losses on new tasks and on those of training, means over positions."""
    table = read_table(one.file("evaluation"), "evaluation")
    ood, own = (mean_over_positions(table, name) for name in ("gaussian", "training"))
    least = ood.loc[ood["loss"].idxmin()]
    return {
        "OOD loss, final": of_last_step(ood)["loss"].item(),
        "OOD loss, least": least["loss"],
        "t_crit (step)": int(least["step"]),
        "loss on q_M, final": of_last_step(own)["loss"].item(),
    }


def of_llc(one: OneRun) -> dict[str, Any]:
    """Estimates at the last checkpoint, means over chains."""
    last = llc_by_run(read_table(one.file("llc"), "llc")).iloc[0]
    return {
        "LLC, centred": last["centred_llc"],
        "its error": last["error"],
        "LLC, at w*": last["llc"],
        "flags": last["flags"] or "none",
    }
