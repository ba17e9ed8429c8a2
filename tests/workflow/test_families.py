"""A family of problems is one file: a sweep of a new one runs to its report, in its own words."""

import re

import pytest

from transience.files.tables import read_table

HALVES = '''"""Linear regression on half of x."""

from transience.problem.families.family import Family
from transience.problem.families.linear import FAMILY as LINEAR, labels_of


class Halves(Family):
    memorising, general = "halver of M", "halver of all"

    def sequences(self, tasks, inputs, noise, noise_deviation):
        return inputs, labels_of(tasks, inputs / 2, noise, noise_deviation)

    def weighed_memorising(self, xs, ys, tasks, noise_variance):
        return LINEAR.weighed_memorising(xs / 2, ys, tasks, noise_variance)

    def weighed_general(self, xs, ys, noise_variance):
        return LINEAR.weighed_general(xs / 2, ys, noise_variance)


FAMILY = Halves()
'''
FILE = "workflow/lib/transience/problem/families/halves.py"
SMALL = """experiment: halves
sweep: {num_tasks: [2, 3, inf], seeds: [0]}
task: {family: halves, task_dimension: 2, num_examples: 4}
model: {width: 8, mlp_width: 8}
training: {num_steps: 40, warmup_steps: 4}
checkpoints: {linear_every: 10, logarithmic_count: 4}
llc: {checkpoints: []}
"""


@pytest.fixture
def halves(project):
    (project.folder / FILE).write_text(HALVES)
    (project.folder / "config/halves.yaml").write_text(SMALL)
    return project


def test_a_new_family_is_a_file(halves):
    run = halves.snakemake(config=("config/smoke.yaml", "config/halves.yaml"))
    assert run.returncode == 0, run.stdout
    results = halves.folder / "results/halves"
    page = (results / "report.html").read_text()
    shown = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert "halver of all" in shown and "Halver of all" in shown and "halver of M" in shown
    assert not re.search(r"\b[Rr]idge\b|dMMSE", shown)
    claims = read_table(results / "tables/claims.parquet", "claims")
    assert claims["this_sweep_shows"].str.contains("halver").any()
    assert not claims["paper_says"].str.contains(r"\bridge\b").any()
    # An edit of the family redoes its runs; one of another family nothing.
    edited = "workflow/lib/transience/problem/families/features.py"
    config = {"config": ("config/smoke.yaml", "config/halves.yaml")}
    halves.edit(edited, "math.sqrt(2) *", "2 *")
    assert not halves.planned(**config)
    halves.edit(FILE, "inputs / 2", "inputs / 4")
    assert halves.planned(**config)["train"] == 3


def test_an_unknown_family_is_told_with_those_there_are(project):
    run = project.snakemake("-n", "--config", "task={family: linaer}")
    assert run.returncode != 0
    expected = "task.family: expected one of features, gaussian_means, linear; found the text"
    assert f"{expected} 'linaer'" in run.stdout, run.stdout
