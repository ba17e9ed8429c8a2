"""The script of the documentation that redraws Figure 1 works on the reference tables."""

import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np

ROOT = Path(__file__).parents[2]


def test_figure_1_is_redrawn(tmp_path):
    script = ROOT / "workflow/docs/redraw_figure1.py"
    tables = ROOT / "results/reference/laptop/tables"
    subprocess.run([sys.executable, script, tables], cwd=tmp_path, check=True)
    assert np.ptp(matplotlib.image.imread(tmp_path / "figure1_redrawn.png")) > 0.5
