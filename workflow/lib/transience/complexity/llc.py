"""The LLC of a run's chosen checkpoints, each kept as soon as it is estimated."""

import itertools
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from transience.command import flags, provenance
from transience.command.device import use_device
from transience.command.entry import ends_in_one_line
from transience.command.progress import Progress, label
from transience.complexity.checkpoint import opener
from transience.complexity.estimate import LLCEstimate, draw_table, summary_table
from transience.complexity.settings import LLCSettings
from transience.errors import InputError
from transience.files import tables
from transience.files.checkpoints import CheckpointReader
from transience.files.unfinished import state_folder
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.run import Run


def choose_checkpoints(saved: Sequence[int], wanted: Sequence[int | float | str]) -> list[int]:
    """Indices of the checkpoints meant by `final`, steps or shares of training, ascending.

    The nearest saved one stands for a step; a number between 0 and 1 is a share of the last step.
    """
    steps = np.asarray(saved)
    in_steps = [steps[-1] if w == "final" else w * steps[-1] if 0 < w < 1 else w for w in wanted]
    return sorted({int(abs(steps - step).argmin()) for step in in_steps})


def estimate_run(
    run: Run,
    reader: CheckpointReader,
    settings: LLCSettings,
    device: torch.device,
    finished: Collection[int] = (),
) -> Iterator[tuple[int, LLCEstimate]]:
    """Estimate the LLC of a run's chosen checkpoints but the finished steps, on its q_M then."""
    sampler, opened = settings.sampler(run.seed), opener(run, reader, settings, device)
    indices = choose_checkpoints(reader.steps, settings.checkpoints)
    left = [index for index in indices if reader.steps[index] not in finished]
    draws = settings.num_chains * (settings.num_burn_in + settings.num_draws)  # of a checkpoint
    done = itertools.count(draws * (len(indices) - len(left)))
    progress = Progress(draws * len(indices), label("llc", run), "draw", done=next(done))
    for index in left:
        checkpoint = opened(index)
        try:
            estimate = checkpoint.estimate(sampler, lambda: progress.update(next(done)))
        except InputError as error:
            raise InputError(f"{reader.path}, step {checkpoint.step}: {error}") from None
        yield checkpoint.step, estimate


class LLCReads(flags.Reads):
    """What an estimate depends on, besides checkpoints."""

    task: TaskSettings
    model: ModelSettings
    llc: LLCSettings


def main() -> None:
    """Estimate the LLC of a run's chosen checkpoints and write the tables llc and llc_trace.

    What a killed job had finished, checkpoint by checkpoint, waits in `--state-dir`.
    """
    parser = flags.parser(main.__doc__, LLCReads, of_run=True)
    parser.add_argument(
        "--state-dir", type=Path, required=True, help="folder of its state, removed at the end"
    )
    flags.add_files(parser, "checkpoints", "llc", "llc_trace")
    args = parser.parse_args()
    if not args.settings.llc.checkpoints:
        raise InputError("llc.checkpoints: expected a checkpoint or more; found none: LLC is off")
    run, device = flags.run_of(args), use_device(args.device, threads=args.threads)
    reader = run.open_checkpoints(args.checkpoints)
    metadata = provenance.of_run(args, run, device.type)
    job = (args.settings, args.code, run, device, reader.metadata)
    folder = state_folder(args.state_dir, *job)
    kept = _read_state(folder, reader.steps)
    for step, estimate in estimate_run(run, reader, args.settings.llc, device, kept):
        keys = run.keys | {"step": step}
        kept[step] = {
            "llc_trace": draw_table(estimate, keys),
            "llc": summary_table(estimate, keys),
        }
        for name, frame in kept[step].items():
            tables.write_table(folder / f"{name}_{step}.parquet", name, frame, metadata)
    for name in ("llc", "llc_trace"):
        whole = pd.concat([kept[step][name] for step in sorted(kept)])
        tables.write_table(getattr(args, name), name, whole, metadata)
    shutil.rmtree(args.state_dir)


def _read_state(folder: Path, steps: Sequence[int]) -> dict[int, dict[str, pd.DataFrame]]:
    """Tables of the checkpoints that an earlier start of this very job finished, by step."""
    kept = {}
    for step in steps:
        paths = {name: folder / f"{name}_{step}.parquet" for name in ("llc", "llc_trace")}
        if not all(path.exists() for path in paths.values()):
            continue
        try:
            kept[step] = {name: tables.read_table(path, name) for name, path in paths.items()}
        except InputError as error:
            print(f"{error}; estimating step {step} again", file=sys.stderr)
    if kept:
        print(f"resuming after {len(kept)} checkpoints", file=sys.stderr)
    return kept


if __name__ == "__main__":
    ends_in_one_line(main)
