"""The LLC of a run as a function of h* = γ/nβ, by two methods that share the loss and nothing else.

- `quadrature`: ½ Σ h/(|h| + h*) over the spectrum of the Hessian at w*, at every h*
- `sgld`: the centred estimate, at some of them

They agree where the loss is quadratic over the width of the posterior.
"""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

from transience.command import flags, provenance
from transience.command.device import use_device
from transience.command.entry import ends_in_one_line
from transience.command.progress import Progress, label
from transience.complexity.checkpoint import opener
from transience.complexity.estimate import LLCEstimate
from transience.complexity.llc import choose_checkpoints
from transience.complexity.settings import LLCCurveSettings, LLCSettings, SamplerSettings
from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader
from transience.files.tables import write_table
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.run import Run


def curve_run(
    run: Run,
    reader: CheckpointReader,
    settings: LLCSettings,
    chosen: LLCCurveSettings,
    device: torch.device,
) -> Iterator[pd.DataFrame]:
    """Rows of table `llc_curve` of a run, a frame for each checkpoint."""
    wanted = list(samplers(settings, chosen, run.seed))
    opened = opener(run, reader, settings, device)
    indices = choose_checkpoints(reader.steps, chosen.checkpoints)
    parts = len(indices) * (chosen.num_probes + len(wanted))
    progress, done = Progress(parts, label("llc_curve", run), "part"), iter(range(1, parts + 1))
    for index in indices:
        checkpoint = opened(index)
        try:
            probes = checkpoint.quadrature(chosen, lambda: progress.update(next(done)))
            rows = []
            for sampler in wanted:
                rows.append(sgld_row(checkpoint.estimate(sampler)))
                progress.update(next(done))
        except InputError as error:
            raise InputError(f"{reader.path}, step {checkpoint.step}: {error}") from None
        both = [quadrature_rows(probes), pd.DataFrame(rows)]
        yield pd.concat(both, ignore_index=True).assign(**run.keys, step=checkpoint.step)


def samplers(
    settings: LLCSettings, chosen: LLCCurveSettings, seed: int
) -> Iterator[SamplerSettings]:
    """Settings of SGLD at each h* wanted: γ = h* nβ, and ε γ that of the section `llc`."""
    configured = settings.sampler(seed)
    for h_star in chosen.sampled_h_star:
        gamma = h_star * settings.nbeta
        slower = settings.gamma / gamma if settings.gamma else 1.0
        changes = {"gamma": gamma, "step_size": settings.step_size * slower}
        yield configured.model_copy(update=changes)


def quadrature_rows(probes: pd.DataFrame) -> pd.DataFrame:
    """One row an h*: mean over probes of table `quadrature`, and its standard error."""
    groups = probes.groupby("h_star")
    found = {
        "llc": groups["llc"].mean(),
        "error": groups["llc"].sem(),
        "negative_part": groups["negative_part"].mean(),
        "estimates": groups.size(),
    }
    return pd.DataFrame(found).reset_index().assign(method="quadrature", flags="")


def sgld_row(estimate: LLCEstimate) -> dict[str, Any]:
    """The centred estimate, missing if a chain diverged."""
    settings = estimate.settings
    return {
        "h_star": settings.gamma / settings.nbeta,
        "llc": estimate.centred_llc,
        "error": estimate.centred_standard_error,
        "negative_part": math.nan,
        "estimates": settings.num_chains,
        "method": "sgld",
        "flags": ",".join(estimate.flags),
    }


class LLCCurveReads(flags.Reads):
    """What the curve depends on, besides checkpoints."""

    task: TaskSettings
    model: ModelSettings
    llc: LLCSettings
    llc_curve: LLCCurveSettings


def main() -> None:
    """Take the LLC of a run's chosen checkpoints against h* and write the table llc_curve."""
    parser = flags.parser(main.__doc__, LLCCurveReads, of_run=True)
    flags.add_files(parser, "checkpoints", "llc_curve")
    args = parser.parse_args()
    run, device = flags.run_of(args), use_device(args.device, threads=args.threads)
    reader = run.open_checkpoints(args.checkpoints)
    table = pd.concat(curve_run(run, reader, args.settings.llc, args.settings.llc_curve, device))
    write_table(args.llc_curve, "llc_curve", table, provenance.of_run(args, run, device.type))


if __name__ == "__main__":
    ends_in_one_line(main)
