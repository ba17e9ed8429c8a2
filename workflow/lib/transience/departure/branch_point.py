"""Where a branch leaves its parent, if that is said in words: t_crit, or departure."""

import math

import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.departure.observed import departures, t_crit
from transience.errors import InputError
from transience.files.selections import mean_over_positions
from transience.files.tables import read_table, write_table
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.settings import Settings
from transience.training.settings import BranchSettings


class BranchReads(Settings):
    """What is read of the section `training`."""

    branch: BranchSettings


class BranchPointReads(flags.Reads):
    """What a branch point depends on, besides its parent's evaluation."""

    task: TaskSettings
    model: ModelSettings
    training: BranchReads


def main() -> None:
    """Find the step at which a branch leaves its parent and write the table branch_point."""
    parser = flags.parser(main.__doc__, BranchPointReads, of_run=True)
    flags.add_files(parser, "evaluation", "branch_point")
    args = parser.parse_args()
    run, branch = flags.run_of(args), args.settings.training.branch
    evaluation = read_table(args.evaluation, "evaluation")
    try:
        step = branch_point(evaluation, str(branch.step))
    except InputError as error:
        raise InputError(f"{args.evaluation}: {error}") from None
    table = pd.DataFrame([run.keys | {"parent": branch.variant, "at": branch.step, "step": step}])
    metadata = provenance.of_run(args, run, "cpu")
    write_table(args.branch_point, "branch_point", table, metadata)


def branch_point(evaluation: pd.DataFrame, moment: str) -> int:
    """Step of a moment in the course of one run, from its table `evaluation`.

    `t_crit` is the step of least loss on new tasks, `departure` the first checkpoint from which
    the run stays nearer to dMMSE_M than to ridge. InputError if it does not come to that.
    """
    if moment == "t_crit":
        ood = mean_over_positions(evaluation, "gaussian")
        return t_crit(ood["step"].to_numpy(), ood["loss"].to_numpy())
    (step,) = departures(evaluation)["high"]
    if not math.isfinite(step):
        raise InputError("expected a run that leaves ridge, found one that does not")
    return int(step)


if __name__ == "__main__":
    ends_in_one_line(main)
