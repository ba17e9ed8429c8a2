"""What tf32 and bfloat16 change in a sweep of config/precision.yaml, beside another seed.

    PYTHONPATH=workflow/lib .venv/bin/snakemake results/precision/tables/evaluation.parquet \
        --cores 2 --configfile config/precision.yaml
    .venv/bin/python tests/benchmarks/precision.py results/precision

One row for each M and quantity: its value in each seed, and root mean squares: of the difference
of each precision from float32, within a seed, and of that between the seeds, in float32. Takes what
runs there are; only seeds that have all precisions found are compared.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "lib"))

from transience.tables import read_table

EXACT = "baseline"


def quantities(path: Path) -> dict[str, float | str]:
    """What is compared of one run, from its table `evaluation`."""
    table = read_table(path, "evaluation")
    means = table[table["position"].isna()].set_index(["distribution", "step"])
    ood, own = means.loc["gaussian", "loss"], means.loc["training"].iloc[-1]
    run = {key: table[key].iloc[0] for key in ("variant", "num_tasks", "seed")}
    to_dmmse, to_ridge = own["distance_to_dmmse"], own["distance_to_ridge"]
    return run | {
        "t_crit (step)": ood.idxmin(),
        "least OOD loss": ood.min(),
        "final OOD loss": ood.iloc[-1],
        "relative distance at the end": to_dmmse / (to_dmmse + to_ridge),
    }


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Differences of each quantity between precisions and between seeds, by M."""
    names = [name for name in runs if name not in ("variant", "num_tasks", "seed")]
    rows = []
    for (num_tasks, of_one_m), name in itertools.product(runs.groupby("num_tasks"), names):
        values = of_one_m.pivot(index="seed", columns="variant", values=name).dropna()
        row = {"M": num_tasks, "quantity": name, "seeds": len(values)}
        row |= {p: " / ".join(f"{x:.4g}" for x in values[p]) for p in values}
        others = [precision for precision in values if precision != EXACT]
        row |= {f"{p} differs by": rms(values[p] - values[EXACT]) for p in others}
        pairs = itertools.combinations(values[EXACT], 2)
        rows.append(row | {"seeds differ by": rms([a - b for a, b in pairs])})
    return pd.DataFrame(rows)


def rms(differences: pd.Series | list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(differences)))) if len(differences) else np.nan


def main(results: Path) -> None:
    found = pd.DataFrame(map(quantities, sorted(results.glob("runs/*/*/evaluation.parquet"))))
    print(compare(found).to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/precision"))
