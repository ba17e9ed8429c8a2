"""What tf32 and bfloat16 change in a sweep of config/precision.yaml, beside another seed.

    PYTHONPATH=workflow/lib .venv/bin/snakemake results/precision/tables/evaluation.parquet \
        --cores 2 --configfile config/precision.yaml
    .venv/bin/python tests/benchmarks/precision.py results/precision \
        results/reference/laptop/tables/evaluation.parquet

One row for each M and quantity: its value in each seed, and root mean squares: of the difference
of each precision from float32, within a seed, and of that between the seeds, in float32. The second
argument, if any, is the table of the same sweep in float32 on another machine, which rounds
otherwise: what any change of rounding does. Takes what runs there are, and writes what it compares
to precision.csv.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "lib"))

from transience.files.selections import mean_over_positions
from transience.files.tables import RUN_KEYS, read_table

EXACT = "baseline"


def quantities(table: pd.DataFrame) -> dict[str, float | str]:
    """What is compared of one run, from its rows of the table `evaluation`."""
    ood = mean_over_positions(table, "gaussian").set_index("step")["loss"]
    own = mean_over_positions(table, "training").iloc[-1]
    run = {key: table[key].iloc[0] for key in RUN_KEYS}
    to_dmmse, to_ridge = own["distance_to_dmmse"], own["distance_to_ridge"]
    return run | {
        "t_crit (step)": ood.idxmin(),
        "least OOD loss": ood.min(),
        "final OOD loss": ood.iloc[-1],
        "final loss on q_M": own["loss"],
        "relative distance at the end": to_dmmse / (to_dmmse + to_ridge),
    }


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Differences of each quantity between precisions and between seeds, by M."""
    names = [name for name in runs if name not in RUN_KEYS]
    rows = []
    for (num_tasks, of_one_m), name in itertools.product(runs.groupby("num_tasks"), names):
        values = of_one_m.pivot(index="seed", columns="variant", values=name)
        row = {"M": num_tasks, "quantity": name}
        row |= {p: " / ".join(f"{x:.4g}" for x in values[p].dropna()) for p in values}
        for other in values.columns.drop(EXACT):
            differences = (values[other] - values[EXACT]).dropna()
            row |= {f"{other} differs by": rms(differences), f"{other} mean": differences.mean()}
        pairs = itertools.combinations(values[EXACT].dropna(), 2)
        rows.append(row | {"seeds differ by": rms([a - b for a, b in pairs])})
    return pd.DataFrame(rows)


def rms(differences: pd.Series | list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(differences)))) if len(differences) else np.nan


def main(results: Path = Path("results/precision"), elsewhere: Path | None = None) -> None:
    tables = [read_table(p, "evaluation") for p in results.glob("runs/*/*/evaluation.parquet")]
    runs = pd.concat(tables)
    if elsewhere:
        other = read_table(elsewhere, "evaluation").assign(variant="elsewhere")
        runs = pd.concat([runs, other[other["num_tasks"].isin(runs["num_tasks"])]])
    found = pd.DataFrame([quantities(rows) for _, rows in runs.groupby(RUN_KEYS)])
    found.to_csv(results / "precision.csv", index=False)
    print(compare(found).to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
