"""The whole configuration: the sections of all stages, and those that no stage reads."""

from typing import Annotated, Literal

from pydantic import Field

from transience.complexity.settings import (
    IndicatorSettings,
    LLCCalibrationSettings,
    LLCSettings,
)
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.figures.settings import FigureSettings
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.settings import EachOnce, Settings, key
from transience.training.settings import CheckpointSettings, TrainingSettings
from transience.trajectories.settings import TrajectoryPCASettings

MAY_VARY = ("sweep", "task", "model", "training", "checkpoints")  # from variant to variant
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z"

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class SweepSettings(Settings):
    """The runs. One transformer is trained for each task diversity and each seed."""

    num_tasks: Annotated[
        list[Annotated[int, Field(ge=1)] | Literal["inf"]], Field(min_length=1), EachOnce
    ] = key("tasks")
    """M, the task diversities. Training tasks are uniform over the first M tasks of one fixed
    sequence (the sets T_M are nested); inf draws every task from N(0, I_D)."""
    seeds: Annotated[
        list[Annotated[int, Field(ge=0, le=2**32 - 1)]], Field(min_length=1), EachOnce
    ] = key("none")
    """A seed fixes everything random in a run: task sequence, initial weights, batches, test sets,
    probe, SGLD. All M of one seed share them, so they differ in task diversity only."""


class ExecutionSettings(Settings):
    """How jobs run. Changing it recomputes nothing."""

    device: Literal["auto", "cpu", "cuda"] = key("none")
    """auto uses a GPU if the machine that runs the job has one."""
    threads: int = key("threads", ge=1)
    """CPU threads of a job. Several jobs with one thread each finish sooner than one with several.
    Runs are bit-identical for equal thread counts only."""
    save_state_every_seconds: int = key("seconds", ge=1)
    """How often a training saves its state, that is, the most that a killed one loses."""


class Variants(Settings):
    """What a variant may be called."""

    name: str = key(
        "none",
        expected="names of at most 64 letters, digits, - and _ that start with a letter or digit",
        pattern=f"^{NAME}",
    )
    """Name of a variant."""


class Configuration(Settings):
    """A sweep: its name, its runs, and the settings of every stage."""

    experiment: str = key(
        "none",
        expected="a name other than reference, of at most 64 letters, digits, - and _, that starts "
        "with a letter or digit",
        pattern=rf"^(?!reference\Z){NAME}",
    )
    """Name of the sweep. Everything it writes lies below results/<experiment>/, so sweeps with
    different names never mix. `reference` is taken by the results that come with the repository."""
    sweep: SweepSettings
    task: TaskSettings
    model: ModelSettings
    training: TrainingSettings
    checkpoints: CheckpointSettings
    evaluation: EvaluationSettings
    probe: ProbeSettings
    llc: LLCSettings
    indicators: IndicatorSettings
    llc_calibration: LLCCalibrationSettings
    trajectory_pca: TrajectoryPCASettings
    figures: FigureSettings
    execution: ExecutionSettings
    variants: dict[str, dict] = key(
        "none",
        expected="one or more named sets of overrides, such as {baseline: {}}",
        min_length=1,
    )
    """Named sets of overrides of sweep, task, model, training and checkpoints. Every variant is
    trained for its own sweep; {} is the configuration above. Lists are replaced whole."""
