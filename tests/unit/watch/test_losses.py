"""Losses on test sets that an evaluation has written."""

import numpy as np
from made_up import made_up_sweep

from transience.files.tables import write_table
from transience.watch.losses import Losses, of_tables


def test_an_evaluation_tells_all(tmp_path):
    tables = made_up_sweep([8.0], 1)
    metadata = {"variant": "baseline", "num_tasks": "8", "seed": 0}
    paths = [tmp_path / f"{name}.parquet" for name in ("evaluation", "predictors")]
    for path in paths:
        write_table(path, path.stem, tables[path.stem], metadata)
    found = of_tables(*paths)
    steps, values = found.columns()
    frame = tables["evaluation"]
    frame = frame[frame["position"].isna()].pivot(
        index="step", columns="distribution", values="loss"
    )
    assert steps.tolist() == frame.index.tolist()
    np.testing.assert_array_equal(values[:, :3], frame[["training", "gaussian", "root"]])
    assert ((values[:, 3] >= 0) & (values[:, 3] <= 1)).all()
    ridge = tables["predictors"].query("predictor == 'ridge' and position.isna()")
    ridge = ridge.set_index("distribution")["loss"]
    assert found.ridge == [ridge["training"], ridge["gaussian"], ridge["root"]]


def test_there_may_be_none():
    steps, values = Losses().columns()
    assert len(steps) == 0 and values.shape == (0, 4)
