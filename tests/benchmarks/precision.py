"""What bfloat16 changes in a sweep of config/precision.yaml, beside what another seed changes.

    PYTHONPATH=workflow/lib .venv/bin/snakemake results/precision/tables/transience.parquet \
        --cores 2 --configfile config/precision.yaml
    .venv/bin/python tests/benchmarks/precision.py results/precision

One row for each M and quantity: its value in each seed, and two root mean squares: of the
difference between the precisions, within a seed, and of that between the seeds, in float32.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "lib"))

from transience.tables import read_table

QUANTITIES = {
    "t_crit": "t_crit (step)",
    "least_ood_loss": "least OOD loss",
    "final_ood_loss": "final OOD loss",
    "relative_distance_at_end": "relative distance at the end",
}


def compare(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences of each quantity between precisions and between seeds, by M."""
    rows = []
    for num_tasks, runs in frame.groupby("num_tasks"):
        for column, name in QUANTITIES.items():
            values = runs.pivot(index="seed", columns="variant", values=column)
            between = (values["bf16"] - values["baseline"]).to_numpy()
            seeds = np.subtract.outer(*[values["baseline"].to_numpy()] * 2)
            row = {"M": num_tasks, "quantity": name}
            row |= {p: " / ".join(f"{x:.4g}" for x in values[p]) for p in ("baseline", "bf16")}
            row["precisions"] = np.sqrt(np.mean(np.square(between)))
            row["seeds"] = np.sqrt(np.mean(np.square(seeds[np.triu_indices(len(values), 1)])))
            rows.append(row)
    return pd.DataFrame(rows)


def main(results: Path) -> None:
    table = compare(read_table(results / "tables/transience.parquet", "transience"))
    print(table.to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/precision"))
