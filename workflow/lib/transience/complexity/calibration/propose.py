"""One SGLD setting for all task diversities and checkpoints, from a calibration.

- ε: the stiffest curvature seen has a stiffness ε (nβ h_max + γ)/4 of `MAX_STIFFNESS`. With a
  preconditioner ε nβ stays as configured, as ε is lowered by itself where it is too large.
- nβ: the smallest of the grid at which no run's loss rises by more than `MAX_LOSS_RISE` of its
  range (local), for the least noise and the least dependence on what w* has still to descend.
- γ = h* nβ. h* stays as configured: it says which directions count, which is a choice.
- burn-in: `RELAXATION_TIMES` of the directions that only γ holds, 2/(εγ) draws each; with a
  preconditioner `RELAXATION_TIMES_FROM_NEAR`.

`judge` says, criterion by criterion, whether the configured setting will do as well.
"""

import math
from collections.abc import Iterator
from textwrap import TextWrapper
from typing import NamedTuple

import pandas as pd
import yaml

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.complexity.calibration.grid import (
    CONFIGURED,
    step_size_bound,
)
from transience.complexity.calibration.ordering import ordering_table
from transience.complexity.limits import MAX_LOSS_RISE, MAX_STIFFNESS
from transience.complexity.settings import LLCSettings
from transience.files.atomic import replacing
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.problem.diversity import symbol

CHECKPOINT = [*RUN_KEYS, "step"]
PLATEAU = ("quarter_nbeta", CONFIGURED, "fourfold_nbeta")
RELAXATION_TIMES = 2.0
# where chains start near to where they tend. Directions that only γ holds are then still 1/e off in
# their variance, but raise the loss little; those that count, above h*, relax twice as fast.
RELAXATION_TIMES_FROM_NEAR = 0.5
MUST_KEEP_ORDER = ("half_step_size", "fourfold_nbeta")


class Criterion(NamedTuple):
    """What a setting must satisfy, and whether it does."""

    passes: bool
    finding: str


def greatest_rises(calibration: pd.DataFrame) -> pd.DataFrame:
    """Of each setting, the row of the checkpoint whose loss rises most (mean over its chains).

    Its `loss_rise_fraction` is infinite if a chain diverged, or if there is no range to compare
    with.
    """
    groups = calibration.groupby(["setting", *CHECKPOINT])
    rises = groups["loss_rise_fraction"].mean()
    rises = rises.where(~groups["diverged"].any()).fillna(math.inf).reset_index()
    return rises.loc[rises.groupby("setting")["loss_rise_fraction"].idxmax()].set_index("setting")


def propose(
    calibration: pd.DataFrame, curvature: pd.DataFrame, configured: LLCSettings
) -> LLCSettings:
    """The section `llc` that the calibration speaks for; see the top of the module."""
    h_star = configured.gamma / configured.nbeta
    rises = greatest_rises(calibration)["loss_rise_fraction"]
    tried = calibration.groupby("setting")["nbeta"].first()
    local = [tried[name] for name in PLATEAU if rises[name] <= MAX_LOSS_RISE]
    nbeta = min(local) if local else tried[list(PLATEAU)].max()
    gamma = h_star * nbeta
    if configured.lanczos_steps:
        epsilon = configured.step_size * configured.nbeta / float(nbeta)
    else:
        stiffest = curvature["remaining_curvature"].max()
        epsilon = _round_down(step_size_bound(stiffest, nbeta=nbeta, gamma=gamma))
    times = relaxation_times(configured) * relaxation_time(epsilon, gamma)
    burn_in = math.ceil(round(times, 6))  # 100.00000000000001 draws are 100
    scales = {"step_size": epsilon, "nbeta": float(nbeta), "gamma": float(gamma)}
    return configured.model_copy(update=scales | {"num_burn_in": burn_in})


def relaxation_times(configured: LLCSettings) -> float:
    """Of burn-in, in units of `relaxation_time`, by where chains start."""
    return RELAXATION_TIMES_FROM_NEAR if configured.lanczos_steps else RELAXATION_TIMES


def relaxation_time(epsilon: float, gamma: float) -> float:
    """Draws in which a direction without curvature forgets its start by a factor e: 2/(εγ)."""
    return 2 / (epsilon * gamma)


def _round_down(value: float) -> float:
    """To two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.floor(value / unit * (1 + 1e-12)) * unit:.1e}")


def judge(
    calibration: pd.DataFrame,
    curvature: pd.DataFrame,
    ordering: pd.DataFrame,
    configured: LLCSettings,
) -> Iterator[Criterion]:
    """Whether the configured setting satisfies each criterion, in words with the numbers."""
    yield _is_stable(curvature, configured)
    yield _stays_local(calibration)
    times = configured.num_burn_in / relaxation_time(configured.step_size, configured.gamma)
    least = relaxation_times(configured)
    yield Criterion(
        times >= least,
        f"burn-in of {times:.3g} relaxation times 2/(εγ) (at least {least:g})",
    )
    for name in MUST_KEEP_ORDER:
        yield _keeps_order(ordering[ordering["setting"] == name], name)


def _is_stable(curvature: pd.DataFrame, configured: LLCSettings) -> Criterion:
    """Whether the stiffest direction is slow enough, or ε is lowered where it is not."""
    stiffest = curvature.loc[curvature["remaining_curvature"].idxmax()]
    h = stiffest["remaining_curvature"]
    value, where = configured.stiffness(h), _where(stiffest)
    formula = f"stiffness ε (nβ h_max + γ)/4 = {value:.3g}"
    if configured.lanczos_steps:
        lowered = curvature["remaining_curvature"].map(
            lambda left: configured.stiffness(left) > MAX_STIFFNESS
        )
        return Criterion(
            True,
            f"{formula} with h_max = {h:.3g} left by the preconditioner at {where}; ε is lowered "
            f"by itself at {lowered.sum()} of {len(curvature)} checkpoints, to a stiffness of "
            f"{MAX_STIFFNESS:g}",
        )
    return Criterion(
        bool(value <= MAX_STIFFNESS),
        f"{formula} (at most {MAX_STIFFNESS:g}), so that its direction counts "
        f"{1 / (2 - 2 * value):.2g} instead of 1/2; h_max = {h:.3g} at {where}",
    )


def _stays_local(calibration: pd.DataFrame) -> Criterion:
    """Whether the loss rises little enough; the rise at other nβ is told as well."""
    rises = greatest_rises(calibration)
    values = rises["loss_rise_fraction"]
    tried = calibration.groupby("setting")["nbeta"].first()
    others = (
        f"{_percent(values[name])} at nβ = {tried[name]:g}"
        for name in PLATEAU
        if name != CONFIGURED
    )
    return Criterion(
        bool(values[CONFIGURED] <= MAX_LOSS_RISE),
        f"the loss rises by at most {_percent(values[CONFIGURED])} of its range (at most "
        f"{MAX_LOSS_RISE:.0%}), at {_where(rises.loc[CONFIGURED])}; {', '.join(others)}",
    )


def _percent(rise: float) -> str:
    return f"{rise:.1%}" if math.isfinite(rise) else "all (a chain diverged)"


def _keeps_order(rows: pd.DataFrame, name: str) -> Criterion:
    """Whether a setting reverses no order of the centred estimates; that at w* is told as well."""
    change = {"half_step_size": "ε/2", "fourfold_nbeta": "4 nβ at fixed γ/nβ"}[name]
    if rows.empty:
        return Criterion(True, f"{change} reverses no order of M, as there is one M only")
    counts = rows.groupby("estimate")["order"].value_counts()
    centred, at_checkpoint = (
        {order: counts.get((estimate, order), 0) for order in ("reversed", "unresolved", "missing")}
        for estimate in ("centred_llc", "llc")
    )
    correlations = rows.groupby("estimate")["rank_correlation"].min()
    return Criterion(
        bool(centred["reversed"] + centred["missing"] == 0),
        f"{change} reverses {centred['reversed']} of {len(rows) // 2} orders of M by the centred "
        f"LLC ({centred['unresolved']} more differ within their errors; least rank correlation "
        f"{correlations['centred_llc']:.2f}); by the LLC at w*, {at_checkpoint['reversed']} "
        f"({at_checkpoint['unresolved']}; {correlations['llc']:.2f})",
    )


def _where(row: pd.Series) -> str:
    return f"M = {symbol(row['num_tasks'])}, seed {row['seed']}, step {row['step']}"


def proposal_text(proposed: LLCSettings, criteria: list[Criterion], experiment: str) -> str:
    """A file of YAML: the proposed section `llc`, and the verdict on the configured one."""
    failed = sum(not criterion.passes for criterion in criteria)
    verdict = f"fails {failed} of {len(criteria)} criteria" if failed else "passes all criteria"
    head = (
        f"LLC settings proposed by the calibration of {experiment}, for the section `llc` of its "
        f"configuration. The configured setting {verdict}:"
    )
    findings = (f"- {'passes' if c.passes else 'FAILS'}: {c.finding}." for c in criteria)
    wrap = TextWrapper(width=100, initial_indent="# ", subsequent_indent="#   ")
    lines = [*(line for text in (head, *findings) for line in wrap.wrap(text)), "llc:"]
    in_order = {"checkpoints": proposed.checkpoints} | proposed.model_dump()  # of config.yaml
    section = yaml.safe_dump(in_order, sort_keys=False, default_flow_style=None)
    return "\n".join([*lines, *(f"  {line}" for line in section.splitlines())]) + "\n"


class ProposalReads(flags.Reads):
    """What a proposal depends on, besides the calibration."""

    llc: LLCSettings


def main() -> None:
    """Compare the settings of a calibration, and write table llc_ordering and a proposal."""
    parser = flags.parser(main.__doc__, ProposalReads)
    flags.add_files(parser, "llc_calibration", "llc_curvature", "llc_ordering", "proposal")
    args = parser.parse_args()
    configured = args.settings.llc
    calibration = read_table(args.llc_calibration, "llc_calibration")
    curvature = read_table(args.llc_curvature, "llc_curvature")
    ordering = ordering_table(calibration)
    metadata = provenance.of_sweep(args, [read_metadata(args.llc_calibration)])
    write_table(args.llc_ordering, "llc_ordering", ordering, metadata)
    criteria = list(judge(calibration, curvature, ordering, configured))
    proposed = propose(calibration, curvature, configured)
    with replacing(args.proposal) as temporary:
        text = proposal_text(proposed, criteria, args.settings.experiment)
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    ends_in_one_line(main)
