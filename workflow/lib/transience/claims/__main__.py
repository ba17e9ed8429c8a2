"""Command: the paper's claims with their verdicts."""

from transience import claims, command
from transience.tables import read_metadata, read_table, write_table

INPUTS = (
    "evaluation",
    "predictors",
    "trajectory_pca",
    "trajectory_pca_components",
    "trajectory_subspace",
    "llc",
    "transience",
    "free_energy",
    "free_energy_agreement",
)


def main() -> None:
    """Write the table claims from other tables of a sweep."""
    flags = command.parser(main.__doc__)
    for name in (*INPUTS, "claims"):
        flags.add_argument(f"--{name.replace('_', '-')}", required=True, metavar="FILE")
    args = flags.parse_args()
    tables = {name: read_table(getattr(args, name), name) for name in INPUTS}
    metadata = read_metadata(args.evaluation)
    metadata = {key: metadata[key] for key in ("variant", "num_tasks", "seed")}
    metadata |= command.provenance(args, "cpu")
    write_table(args.claims, "claims", claims.check(tables), metadata)


if __name__ == "__main__":
    command.run(main)
