"""The report: one page that parses, holds what the tables say, and needs nothing else."""

import io
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml

from transience import findings, report, report_captions
from transience.configuration import runs
from transience.errors import InputError
from transience.figures import FIGURES, draw
from transience.tables import write_table

Tables = dict[str, pd.DataFrame]
ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
CONFIG |= {
    "task": {"task_dimension": 3, "num_examples": 7, "noise_variance": 0.125},
    "training": CONFIG["training"] | {"num_steps": 12_000, "batch_size": 48},
    "figures": {"dpi": 150, "smoothing_window": 1},
    "sweep": {"num_tasks": [1, 8, 16, "inf"], "seeds": [0, 1]},
}
CAPTIONS = yaml.safe_load((report.PAGE / "captions.yaml").read_text(encoding="utf-8"))
VOID = {"meta", "img", "br", "hr", "link", "input"}
PNG = b"\x89PNG\r\n"


class Page(HTMLParser):
    """A parsed page: its elements, its text, and whether all tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script", "title"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements with that tag."""
        return [attributes for name, attributes in self.elements if name == tag]


def render(tables: Tables, config: dict = CONFIG, **more: object) -> str:
    figures = dict.fromkeys(FIGURES, PNG)
    return report.render(tables, figures, config, provenance={"Commit": "abc"}, **more)


@pytest.fixture
def tables(made_up_sweep: Callable[..., Tables]) -> Tables:
    return made_up_sweep([1.0, 8.0, 16.0, math.inf], 2, diverged=[16.0])


def test_page_is_well_formed_and_accessible(tables: Tables) -> None:
    page = Page(render(tables))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert all(header["scope"] in ("col", "row") for header in page.all("th"))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    referred = [a[key] for _, a in page.elements for key in ("aria-labelledby",) if key in a]
    referred += [link["href"].removeprefix("#") for link in page.all("a")]
    assert set(referred) <= set(names)


def test_page_asks_for_nothing_over_the_network(tables: Tables) -> None:
    html = render(tables)
    page = Page(html)
    for _, attributes in page.elements:
        for key in ("src", "href", "srcset", "action"):
            assert re.match(r"data:image/png;base64,|#", attributes.get(key) or "#")
    assert not re.search(r"https?:|@import|url\(|<script src|fetch\(|XMLHttp|import\(", html)


def test_every_figure_has_its_caption_filled_from_the_configuration(tables: Tables) -> None:
    assert list(CAPTIONS["figures"]) == list(FIGURES)
    page = Page(render(tables))
    for figure in CAPTIONS["figures"].values():
        beginning = re.sub(r"<.*?>|\s", "", figure["caption"].split("{{")[0])[:60]
        assert beginning in page.text.replace(" ", "")
        assert figure["title"] in page.text
    assert page.text.count("Scale: D = 3, K = 7, σ² = 0.125;") == len(FIGURES)
    assert "12,000 steps of 48 sequences" in page.text
    assert "moving average over" not in page.text


def test_smoothing_is_stated(tables: Tables) -> None:
    config = CONFIG | {"figures": {"dpi": 150, "smoothing_window": 5}}
    stated = Page(render(tables, config)).text.count(
        "curves are a moving average over 5 checkpoints"
    )
    assert stated == sum(text["smooths"] for text in CAPTIONS["figures"].values()) > 0


@pytest.mark.parametrize("name", FIGURES)
def test_captions_know_which_figures_smooth(name: str, tables: Tables) -> None:
    drawn = [io.BytesIO(), io.BytesIO()]
    for window, file in zip((1, 5), drawn, strict=True):
        draw(name, tables, smoothing_window=window).savefig(file, dpi=60)
    changes = drawn[0].getvalue() != drawn[1].getvalue()
    assert CAPTIONS["figures"][name]["smooths"] == changes


def test_every_claim_stands_with_its_verdict(tables: Tables) -> None:
    page = Page(render(tables))
    for row in tables["claims"].to_dict("records"):
        for cell in (row["paper_says"], row["this_sweep_shows"], row["verdict"]):
            assert re.sub(r"[ _]", "", cell) in page.text.replace(" ", "")
    assert "holds: 1, fails: 1, not testable: 1." in page.text
    classes = [span["class"] for span in page.all("span")]
    assert classes == ["badge holds", "badge fails", "badge not-testable"]


def test_content_is_escaped(tables: Tables) -> None:
    config = CONFIG | {"experiment": "<script>alert(1)</script>"}
    config |= {"task": config["task"] | {"noise_variance": "<b>&"}}
    html = render(tables, config)
    assert "2 of 3 &lt;M&gt; do &amp; the rest do not." in html
    assert "<script>alert" not in html
    assert "σ² = &lt;b&gt;&amp;;" in html
    Page(html)


def test_missing_values_and_warnings_are_shown(tables: Tables) -> None:
    page = Page(render(tables))
    assert "2 of 32 LLC chains diverged; 2 estimates are missing." in page.text
    assert (
        "4 of 8 LLC estimates carry a flag (diverged 2, not equilibrated 2, R-hat 2)." in page.text
    )
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)
    sound = tables["llc"].assign(flags="", diverged=False)
    assert "Read with care" not in Page(render(tables | {"llc": sound})).text


def test_runs_that_a_table_lacks_are_named(tables: Tables) -> None:
    assert findings.missing_runs(tables, runs(CONFIG)) == []
    llc = tables["llc"].query("num_tasks != 8")
    assert findings.missing_runs(tables | {"llc": llc}, runs(CONFIG)) == [
        "2 of 8 runs are missing from the table llc: baseline M = 8 seed 0; baseline M = 8 seed 1."
    ]
    more = CONFIG | {"sweep": {"num_tasks": [1, "inf"], "seeds": [*range(9)]}}
    text = Page(render(tables, more)).text
    assert "14 of 18 runs are missing from the table training: baseline M = 1 seed 2; " in text
    assert text.count("seed 7; ….") == 5


def test_variants_are_told_apart(tables: Tables) -> None:
    other = {name: frame.assign(variant="deeper") for name, frame in tables.items()}
    both = {name: pd.concat([frame, other[name]]) for name, frame in tables.items()}
    both["claims"] = tables["claims"]
    config = CONFIG | {"variants": {"baseline": {"task": {"noise_variance": 0.5}}, "deeper": {}}}
    page = Page(render(both, config))
    assert "figures of variant baseline" in page.text
    assert "σ² = 0.5" in page.text
    assert page.text.count("deeper") > 8


def test_words_of_tables_are_made_readable() -> None:
    assert report.title_words("low_ends_near_dmmse") == "Low ends near dMMSE"
    assert report.title_words("llc_rises") == "LLC rises"
    assert report.prose("q_1 < dMMSE_M, M = inf") == ("q<sub>1</sub> &lt; dMMSE<sub>M</sub>, M = ∞")
    assert report.prose("infinity q_means") == "infinity q_means"


# The finding


def outcomes(*rows: tuple[float, int, float, float, bool]) -> pd.DataFrame:
    names = ["num_tasks", "seed", "least_ood_loss", "rise", "transient"]
    return pd.DataFrame(rows, columns=names).assign(initial_ood_loss=4.0, ridge_ood_loss=2.0)


def test_finding_names_the_diversities_that_are_transient_in_every_seed() -> None:
    table = outcomes(
        (4, 0, 3.0, 1.5, True), (4, 1, 2.5, 1.25, True),
        (8, 0, 2.5, 1.2, True), (8, 1, 2.5, 1.05, False),
        (math.inf, 0, 2.1, 1.0, False), (math.inf, 1, 2.1, 1.004, False),
    )  # fmt: skip
    assert findings.finding(table) == (
        "Trained on M = 4 tasks, in each of 2 seeds, models first get better at new tasks, "
        "50 to 75 % of the way to ridge regression, and then worse again: their loss on new tasks "
        "ends 25 to 50 % above its least value. At M = ∞ it ends 0.0 to 0.4 % above its least."
    )
    assert findings.headline(table) == "Ridge regression, learnt and then left again"


def test_finding_says_so_if_there_is_none() -> None:
    table = outcomes((4, 0, 3.0, 1.0, False), (math.inf, 0, 2.1, 1.0, False))
    assert findings.finding(table) == (
        "At no finite task diversity does the loss on new tasks fall and then rise again, by 10 % "
        "or more, in the only seed. At M = ∞ it falls to the end."
    )
    assert findings.headline(table) == "No transient ridge at this scale"
    some = outcomes((4, 0, 3.0, 1.5, True), (4, 1, 3.0, 1.0, False))
    assert findings.headline(some) == "Transient ridge, but not in every seed"


# Files


def test_times_and_costs_are_summed_by_rule(tmp_path: Path) -> None:
    measured = {
        "train/a.tsv": "2.0\t0:00:02\t300.5\t1.5",
        "train/b.tsv": "3.5\t0:00:03\t200.0\t2.5",
        "report.tsv": "1.0\t0:00:01\tNA\tNA",
    }
    for path, row in measured.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{row}\n", encoding="utf-8")
    train, page = report.stage_times(tmp_path)
    assert train == {
        "rule": "train", "jobs": 2, "seconds": 5.5, "longest": 3.5, "processor": 4.0,
        "memory": 300.5,
    }  # fmt: skip
    assert page["rule"] == "report"
    assert math.isnan(page["processor"]) and math.isnan(page["memory"])


def test_provenance_lists_what_differs_between_runs(tables: Tables) -> None:
    one = {"commit": "abc", "device": "CPU", "created": "2025-01-01", "versions": {"torch": "2"}}
    both = one | {"commit": ["abc", "def"], "created": ["2025-01-02", "2025-01-03"]}
    found = report.origins({"training": both, "llc": one}, tables)
    assert found["Commit"] == "abc, def"
    assert found["Device"] == "training: CPU; llc: CPU"
    assert found["Runs"] == "8, seeds 0, 1"
    assert found["Versions"] == "torch 2"
    assert found["Written"] == "2025-01-01 to 2025-01-03"


def test_command_writes_the_page_and_names_a_missing_figure(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in report.TABLES:
        write_table(tmp_path / f"{name}.parquet", name, tables[name], {"commit": "abc123"})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    flags = [
        "--tables-dir",
        tmp_path,
        "--figures-dir",
        tmp_path,
        "--output",
        tmp_path / "page.html",
    ]
    flags += ["--config-json", tmp_path / "config.json", "--settings", "{}"]
    monkeypatch.setattr("sys.argv", ["report", *map(str, flags)])
    with pytest.raises(InputError, match=r"figure1.png: expected a figure, found no such file"):
        report.main()
    for name in FIGURES:
        (tmp_path / f"{name}.png").write_bytes(PNG)
    report.main()
    assert "abc123" in Page((tmp_path / "page.html").read_text(encoding="utf-8")).text


def test_captions_for_snakemake_are_in_step_with_those_of_the_page() -> None:
    kept = (report.PAGE / "figure.rst").read_text(encoding="utf-8")
    assert kept == report_captions.report_captions()
