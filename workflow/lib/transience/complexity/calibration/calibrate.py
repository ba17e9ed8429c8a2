"""Calibrate SGLD on one run: the stiffest curvature, and the LLC on a grid of settings.

The grid surrounds the configured setting (ε, nβ, γ), h* = γ/nβ:

- `half_step_size`: ε/2. A difference is the bias of the finite step.
- `quarter_nbeta`, `fourfold_nbeta`: nβ at fixed h*, and ε nβ fixed with it, so that the chain takes
  as many steps for a relaxation time. The centred estimate should be level (the plateau).
- `quarter_h`, `fourfold_h`: h* at fixed nβ. No plateau is expected: the estimate counts directions
  with a curvature above h*. ε is kept, or lowered to stay as far from instability.

Chains that relax more slowly have a longer burn-in in proportion (a relaxation time of the
flattest directions is 2/(εγ) draws). All settings share noise and minibatches, so that their
differences say more than the error of either; `propose` compares them.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

from transience.command import flags, provenance
from transience.command.device import use_device
from transience.command.entry import ends_in_one_line
from transience.complexity.calibration.grid import grid, step_size_bound
from transience.complexity.checkpoint import opener
from transience.complexity.estimate import summary_table
from transience.complexity.llc import choose_checkpoints, estimate_run
from transience.complexity.settings import LLCCalibrationSettings, LLCSettings
from transience.files.checkpoints import CheckpointReader
from transience.files.tables import write_table
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.run import Run

PLAIN_STEPS = 32  # Lanczos steps to the stiffest curvature where SGLD runs plain
ESTIMATES = (
    *("llc", "centred_llc", "descent", "loss_rise_fraction", "acceptance", "rhat", "ess"),
    *("diverged", "flags", "step_size", "nbeta", "gamma"),
)


def calibrate(
    run: Run,
    reader: CheckpointReader,
    configured: LLCSettings,
    chosen: LLCCalibrationSettings,
    device: torch.device,
) -> pd.DataFrame:
    """Table `llc_calibration` of a run, without the columns that name it."""
    frames = []
    for name, varied in grid(configured).items():
        settings = varied.model_copy(update={"checkpoints": chosen.checkpoints})
        for step, estimate in estimate_run(run, reader, settings, device):
            frame = summary_table(estimate, {"step": step})[["step", "chain", *ESTIMATES]]
            frames.append(frame.assign(setting=name, num_burn_in=settings.num_burn_in))
    return pd.concat(frames)


def curvatures(
    run: Run,
    reader: CheckpointReader,
    configured: LLCSettings,
    chosen: LLCCalibrationSettings,
    device: torch.device,
) -> Iterator[dict[str, Any]]:
    """Rows of table `llc_curvature` of a run, without the columns that name it."""
    behind = {"lanczos_sequences": chosen.num_sequences}
    behind["lanczos_steps"] = configured.lanczos_steps or PLAIN_STEPS
    settings = configured.model_copy(update=behind)
    sampler, opened = settings.sampler(run.seed), opener(run, reader, settings, device)
    for index in choose_checkpoints(reader.steps, chosen.checkpoints):
        checkpoint = opened(index)
        _, found = checkpoint.prepared(sampler)
        left = found.remaining if configured.lanczos_steps else found.largest
        yield {
            "step": checkpoint.step,
            "largest_curvature": found.largest,
            "remaining_curvature": left,
            "sequences": min(chosen.num_sequences, configured.num_sequences),
            "stiffness": configured.stiffness(left),
            "step_size_bound": step_size_bound(
                left, nbeta=configured.nbeta, gamma=configured.gamma
            ),
        }


class CalibrationReads(flags.Reads):
    """What a calibration depends on, besides checkpoints."""

    task: TaskSettings
    model: ModelSettings
    llc: LLCSettings
    llc_calibration: LLCCalibrationSettings


def main() -> None:
    """Calibrate SGLD on a run and write the tables llc_calibration and llc_curvature."""
    parser = flags.parser(main.__doc__, CalibrationReads, of_run=True)
    flags.add_files(parser, "checkpoints", "llc_calibration", "llc_curvature")
    args = parser.parse_args()
    run, device = flags.run_of(args), use_device(args.device, threads=args.threads)
    reader = run.open_checkpoints(args.checkpoints)
    settings = (args.settings.llc, args.settings.llc_calibration)
    tables = {
        "llc_calibration": calibrate(run, reader, *settings, device),
        "llc_curvature": pd.DataFrame(curvatures(run, reader, *settings, device)),
    }
    metadata = provenance.of_run(args, run, device.type)
    for name, frame in tables.items():
        write_table(getattr(args, name), name, frame.assign(**run.keys), metadata)


if __name__ == "__main__":
    ends_in_one_line(main)
