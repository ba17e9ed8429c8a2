"""The whole configuration: the sections of all stages, and those that no stage reads."""

from typing import Annotated, Literal

from pydantic import Field

from transience.complexity.settings import (
    IndicatorSettings,
    LLCCalibrationSettings,
    LLCCurveSettings,
    LLCSettings,
    Seed,
)
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.figures.settings import FigureSettings
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.settings import Diversity, EachOnce, Settings, key
from transience.training.settings import CheckpointSettings, TrainingSettings
from transience.trajectories.settings import TrajectoryPCASettings

# Both Python's and an editor's expressions; `$` alone would let a line break follow.
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)"


class SweepSettings(Settings):
    """The runs. One transformer is trained for each task diversity and each seed."""

    num_tasks: Annotated[list[Diversity | Literal["inf"]], Field(min_length=1), EachOnce] = key(
        "tasks"
    )
    """M, the task diversities. Training tasks are uniform over the first M tasks of one fixed
    sequence (the sets T_M are nested); inf draws every task from N(0, I_D)."""
    seeds: Annotated[list[Seed], Field(min_length=1), EachOnce] = key("none")
    """A seed fixes everything random in a run: task sequence, initial weights, batches, test sets,
    probe, SGLD. All M of one seed share them, so they differ in task diversity only."""


class ExecutionSettings(Settings):
    """How jobs run. Changing it recomputes nothing."""

    device: Literal["auto", "cpu", "cuda"] = key("none")
    """auto is cuda where Snakemake is started on a machine with a GPU and runs its jobs there, else
    cpu, also on a cluster. On a cluster cuda asks for a GPU for each job."""
    threads: int = key("threads", ge=1)
    """CPU threads of a job. Several jobs with one thread each finish sooner than one with several.
    Runs are bit-identical for equal thread counts only."""
    save_state_every_seconds: int = key("seconds", ge=1)
    """How often a training saves its state, that is, the most that a killed one loses."""


class Overrides(Settings):
    """What a variant has of its own, written like the sections themselves."""

    sweep: SweepSettings
    task: TaskSettings
    model: ModelSettings
    training: TrainingSettings
    checkpoints: CheckpointSettings


class Configuration(Settings):
    """Configuration of a sweep: its name, its runs, and the settings of every stage."""

    experiment: str = key(
        "none",
        expected="a name other than reference, of at most 64 letters, digits, - and _, that starts "
        "with a letter or digit",
        pattern=rf"^(?!reference$){NAME}",
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
    llc_curve: LLCCurveSettings
    indicators: IndicatorSettings
    llc_calibration: LLCCalibrationSettings
    trajectory_pca: TrajectoryPCASettings
    figures: FigureSettings
    execution: ExecutionSettings
    variants: dict[Annotated[str, Field(pattern=f"^{NAME}")], Overrides] = Field(
        min_length=1,
        json_schema_extra={
            "unit": "none",
            "expected": "one or more named sets of overrides, such as {baseline: {}}",
            "propertyNames": {
                "type": "string",
                "pattern": f"^{NAME}",
                "expected": "names of at most 64 letters, digits, - and _ that start with a letter "
                "or digit",
            },
        },
    )
    """Named sets of overrides of sweep, task, model, training and checkpoints. Every variant is
    trained for its own sweep; {} is the configuration above. Lists are replaced whole."""
