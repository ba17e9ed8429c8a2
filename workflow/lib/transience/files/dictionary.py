"""Print results/README.md, the data dictionary, from workflow/schemas/tables.yaml."""

from transience.files.tables import Column, Schema, schemas

HEADER = """\
# Results: the data dictionary

<!-- Written by `PYTHONPATH=workflow/lib python -m transience.files.dictionary > results/README.md`
     from workflow/schemas/tables.yaml; edit that file. -->

The workflow writes below `results/<experiment>/`. In git are only this file and `reference/`,
the tables and figures of sweeps that we ran.

| path | what |
|---|---|
| `runs/<variant>/M<num_tasks>_seed<seed>/` | checkpoints and tables of one run |
| `tables/` | tables of the sweep: those of all runs in one, and those computed from them |
| `figures/` | every figure as PNG and PDF; those of other variants in `figures/<variant>/` |
| `report.html` | the page to read first |
| `config.json` | the effective configuration |
| `logs/`, `benchmarks/` | log, time and memory of every job |

Tables are Parquet files, tidy, one row for each combination of the **key** columns and sorted by
them: `pandas.read_parquet("results/laptop/tables/evaluation.parquet")`. Each carries, as JSON under
`transience` in its metadata, the configuration, the digest of the code, seed, library versions and
device that made it: `transience.files.tables.read_metadata(path)`.

`label²` is the squared unit of y; losses are mean squared errors over sequences and positions.
`null` in the column *empty* says that a value may be missing.
Columns and rows are named `dmmse` and `ridge` whatever the problem (`task.family`), so that tables
of several can be joined: they mean its memorising and its general predictor, to which figures and
claims give the problem's own names.
"""


def data_dictionary() -> str:
    """Text of results/README.md."""
    return "\n".join([HEADER, *map(_section, schemas().values())])


def _section(schema: Schema) -> str:
    places = {"runs": f"runs/…/{schema.name}.parquet", "tables": f"tables/{schema.name}.parquet"}
    places |= {"branches": places["runs"]}
    where = ", ".join(f"`{places[place]}`" for place in schema.files)
    rows = "\n".join(map(_row, schema.columns))
    head = "| column | type | unit | empty | meaning |\n|---|---|---|---|---|"
    return f"## {schema.name}\n\n{schema.meaning}\n{where}\n\n{head}\n{rows}\n"


def _row(column: Column) -> str:
    name = f"**{column.name}**" if column.key else column.name
    empty = "null" if column.nullable else ""
    return f"| {name} | {column.dtype} | {column.unit} | {empty} | {column.meaning} |"


if __name__ == "__main__":
    print(data_dictionary(), end="")
