"""The view of a sweep's tables that claims are checked on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from transience.complexity.summary import final_curve, llc_by_run

ANY = "any"  # kind of an intervention


@dataclass(frozen=True)
class Sweep:
    """The tables of one variant, and of the runs of which it is the control.

    Series and frames by M are sorted and have a column a seed.
    """

    tables: dict[str, pd.DataFrame]

    @classmethod
    def of(cls, tables: dict[str, pd.DataFrame], variant: str) -> Sweep:
        """Keep the rows of one variant, of the tables that tell variants apart.

        Interventions belong to their control.
        """
        names = {name: "control" if "control" in t else "variant" for name, t in tables.items()}
        return cls({n: t[t[names[n]] == variant] for n, t in tables.items() if "variant" in t})

    def interventions(self, kind: str = ANY) -> pd.DataFrame:
        """Rows of the table of that name where training itself is changed, of one kind or any."""
        rows = self.tables["interventions"]
        return rows[rows["kind"] != "none" if kind == ANY else rows["kind"] == kind]

    @cached_property
    def finite(self) -> list[float]:
        """All finite M, ascending."""
        found = self.tables["transient_ridge"]["num_tasks"].unique()
        return sorted(float(m) for m in found if math.isfinite(m))

    @property
    def intermediate(self) -> list[float]:
        """Finite M above the lowest."""
        return self.finite[1:]

    @cached_property
    def has_infinity(self) -> bool:
        """Whether M = inf is in the sweep."""
        return math.inf in self.tables["transient_ridge"]["num_tasks"].to_numpy()

    @cached_property
    def transient(self) -> list[float]:
        """Intermediate M that are transient in every seed, ascending."""
        always = self.by_m("transient").all(axis="columns")
        return [m for m in self.intermediate if always[m]]

    def by_m(self, column: str) -> pd.DataFrame:
        """A column of the table `transient_ridge`: index num_tasks, columns seed."""
        table = self.tables["transient_ridge"]
        return table.pivot(index="num_tasks", columns="seed", values=column)

    @property
    def ood_loss_over_ridge(self) -> pd.DataFrame:
        """OOD loss of the last checkpoint over that of ridge: index num_tasks, columns seed."""
        return self.by_m("final_ood_loss") / self.by_m("ridge_ood_loss")

    @cached_property
    def final_losses(self) -> pd.DataFrame:
        """Loss on q_M of the last checkpoint and of the predictors: index (num_tasks, seed)."""
        run = ["num_tasks", "seed"]
        means = {
            name: table[table["position"].isna() & (table["distribution"] == "training")]
            for name, table in self.tables.items()
            if name in ("evaluation", "predictors")
        }
        last = means["evaluation"].sort_values("step").groupby(run).last()["loss"].rename("model")
        ideal = means["predictors"].pivot(index=run, columns="predictor", values="loss")
        return ideal.join(last)

    @property
    def llc_is_off(self) -> bool:
        """Whether no LLC was asked for."""
        return self.tables["llc"].empty

    @cached_property
    def final_llcs(self) -> pd.DataFrame:
        """Centred LLC of the last checkpoint: index num_tasks, columns seed."""
        return self._final_llcs("centred_llc")

    @cached_property
    def final_llcs_at_checkpoint(self) -> pd.DataFrame:
        """LLC in the paper's form, compared with the loss of the last checkpoint itself."""
        return self._final_llcs("llc")

    def _final_llcs(self, form: str) -> pd.DataFrame:
        """Missing where a chain diverged."""
        runs = llc_by_run(self.tables["llc"])
        return runs.pivot(index="num_tasks", columns="seed", values=form)

    @cached_property
    def final_curve(self) -> dict[tuple[str, float], pd.DataFrame]:
        """Centred LLCs of the last checkpoints by method and h*: index num_tasks, columns seed.

        With `final_llcs`, by `sgld` at the h* of the section `llc`.
        """
        curve = final_curve(self.tables["llc"], self.tables["llc_curve"])
        return {
            point: rows.pivot(index="num_tasks", columns="seed", values="llc")
            for point, rows in curve.groupby(["method", "h_star"])
        }

    @cached_property
    def points(self) -> pd.DataFrame:
        """Checkpoints in the joint PCA, with their losses on each distribution as columns."""
        keys = ["num_tasks", "seed", "step"]
        evaluation = self.tables["evaluation"]
        means = evaluation[evaluation["position"].isna()]
        losses = means.pivot(index=keys, columns="distribution", values="loss")
        points = self.tables["trajectory_pca"].dropna(subset="step")
        return points.astype({"step": "int64"}).join(losses, on=keys).sort_values(keys)
