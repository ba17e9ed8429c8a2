"""Evaluate every checkpoint of a run on test sets and probe."""

from collections.abc import Iterator

import torch

from transience.command import flags, provenance
from transience.command.device import use_device
from transience.command.entry import ends_in_one_line
from transience.command.progress import Progress, label
from transience.errors import InputError
from transience.evaluation.evaluate import evaluate, evaluation_sets
from transience.evaluation.front import front_table
from transience.evaluation.result_tables import evaluation_table, predictors_table, probe_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files.checkpoints import CheckpointReader
from transience.files.read_ahead import on_device
from transience.files.tables import write_table
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.run import Run


class EvaluationReads(flags.Reads):
    """What an evaluation depends on, besides checkpoints."""

    task: TaskSettings
    model: ModelSettings
    evaluation: EvaluationSettings
    probe: ProbeSettings


def main() -> None:
    """Evaluate every checkpoint of a run and write its four tables."""
    parser = flags.parser(main.__doc__, EvaluationReads, of_run=True)
    flags.add_files(parser, "checkpoints", "evaluation", "predictors", "front", "probe")
    args = parser.parse_args()
    run, device = flags.run_of(args), use_device(args.device, threads=args.threads)
    reader = run.open_checkpoints(args.checkpoints)
    run, sections = run.as_trained(reader), (args.settings.evaluation, args.settings.probe)
    sets_at = run.follow(lambda there: evaluation_sets(there, *sections, device))
    predict, watched = LossAndGradient(run.architecture).predict, _watched(reader, run, device)
    measures, predictions = evaluate(watched, map(sets_at, reader.steps), predict)
    sets = sets_at(reader.steps[-1])  # ideal predictors are those of the last
    tables = {
        "evaluation": evaluation_table(reader.steps, measures, run.keys),
        "predictors": predictors_table(sets, run.keys),
        "front": front_table(sets, run.at(reader.steps[-1])),
        "probe": probe_table(reader.steps, predictions, sets["probe"], run.keys),
    }
    metadata = provenance.of_run(args, run, device.type)
    for name, frame in tables.items():
        write_table(getattr(args, name), name, frame, metadata)


def _watched(reader: CheckpointReader, run: Run, device: torch.device) -> Iterator[torch.Tensor]:
    """Checkpoints one by one, with a report of how far that is."""
    progress = Progress(len(reader), label("evaluate", run), "checkpoint")

    def read(index: int) -> torch.Tensor:
        parameters = reader.parameters(index)
        if missing := int((~parameters.isfinite()).sum()):
            raise InputError(
                f"{reader.path}, step {reader.steps[index]}: expected finite parameters, found "
                f"{missing} that are not"
            )
        return parameters

    for done, parameters in enumerate(on_device(read, len(reader), device), start=1):
        yield parameters
        progress.update(done)


if __name__ == "__main__":
    ends_in_one_line(main)
