"""The page: it parses, holds what the tables say, and needs nothing else."""

import math
import re
from collections import Counter
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml
from made_up import Tables, made_up_sweep, side_by_side

from transience.figures.captions import MOST_OTHERS, PAGE, captions, of_sweep
from transience.report import page as report

CONFIG = yaml.safe_load((PAGE.parents[1] / "config/config.yaml").read_text(encoding="utf-8"))
CONFIG |= {
    "task": {"task_dimension": 3, "num_examples": 7, "noise_variance": 0.125},
    "training": CONFIG["training"] | {"num_steps": 12_000, "batch_size": 48},
    "figures": {"dpi": 150, "smoothing_window": 1, "variant": "main"},
    "sweep": {"num_tasks": [1, 8, 16, "inf"], "seeds": [0, 1]},
}
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
    figures = dict.fromkeys(of_sweep(config), PNG)
    return report.render(tables, figures, config, provenance={"Commit": "abc"}, **more)


def test_an_llc_that_is_off_is_said_to_be_and_no_run_is_missing() -> None:
    tables = made_up_sweep([1.0, 8.0, 16.0, math.inf], 2)
    tables["llc"] = tables["llc"].iloc[:0]
    page = Page(render(tables, CONFIG | {"llc": CONFIG["llc"] | {"checkpoints": []}}))
    said = "LLC is off (llc.checkpoints is empty): claims that need it are not tested"
    assert page.text.count(said) == 1
    assert "Local learning coefficients LLC is off (llc.checkpoints is empty)." in page.text
    assert "are missing from the table" not in page.text


@pytest.fixture
def tables() -> Tables:
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
    links = [link["href"] for link in page.all("a")]
    referred += [link.removeprefix("#") for link in links if link.startswith("#")]
    assert set(referred) <= set(names)


def test_page_asks_for_nothing_over_the_network(tables: Tables) -> None:
    html = render(tables)
    page = Page(html)
    beside = r"(figures/(\w+/)?\w+\.pdf|tables/\w+\.parquet)$"  # followed by readers only
    for name, attributes in page.elements:
        for key in ("src", "href", "srcset", "action"):
            allowed = r"data:image/png;base64,|#" + (f"|{beside}" if name == "a" else "")
            assert re.match(allowed, attributes.get(key) or "#")
    assert not re.search(r"https?:|@import|url\(|<script src|fetch\(|XMLHttp|import\(", html)


def test_every_figure_has_its_caption_filled_from_the_configuration(tables: Tables) -> None:
    page = Page(render(tables))
    for figure in captions().values():
        beginning = re.sub(r"<.*?>|\s", "", figure.text.split("{{")[0])[:60]
        assert beginning in page.text.replace(" ", "")
        assert figure.title in page.text
    assert page.text.count("Scale: D = 3, K = 7, σ² = 0.125;") == len(captions())
    assert "12,000 steps of 48 sequences" in page.text
    assert "moving average over" not in page.text


def test_smoothing_is_stated(tables: Tables) -> None:
    config = CONFIG | {"figures": CONFIG["figures"] | {"smoothing_window": 5}}
    stated = Page(render(tables, config)).text.count(
        "curves are a moving average over 5 checkpoints"
    )
    assert stated == sum(figure.smooths for figure in captions().values()) > 0


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
    first = tables["llc"].assign(step=0, flags="RHAT", diverged=False)
    both = pd.concat([first, tables["llc"]])
    assert (
        "12 of 16 LLC estimates carry a flag, at the end of training 4 of 8 ("
        in Page(render(tables | {"llc": both})).text
    )
    sound = tables["llc"].assign(flags="", diverged=False)
    assert "Read with care" not in Page(render(tables | {"llc": sound})).text


def test_runs_that_a_table_lacks_are_named(tables: Tables) -> None:
    more = CONFIG | {"sweep": {"num_tasks": [1, "inf"], "seeds": [*range(9)]}}
    text = Page(render(tables, more)).text
    assert "14 of 18 runs are missing from the table training: baseline M = 1 seed 2; " in text
    assert text.count("seed 7; ….") == 5


@pytest.mark.parametrize(("chosen", "shown"), [("main", "baseline"), ("deeper", "deeper")])
def test_the_page_has_every_variant_and_shows_one(tables: Tables, chosen: str, shown: str) -> None:
    """Headline, verdicts, figures and rows of the others are hidden until a script shows them."""
    (hidden,) = {"baseline", "deeper"} - {shown}
    both = side_by_side("deeper", baseline=tables)
    of_deeper = both["claims"]["variant"] == "deeper"
    both["claims"].loc[of_deeper, "verdict"] = "holds"
    config = CONFIG | {"variants": {"baseline": {"task": {"noise_variance": 0.5}}, "deeper": {}}}
    config |= {"figures": CONFIG["figures"] | {"variant": chosen}}
    page = Page(render(both, config))
    parts = [(tag, a) for tag, a in page.elements if "data-variant" in a]
    for variant in ("baseline", "deeper"):
        own = [(tag, a) for tag, a in parts if a["data-variant"] == variant]
        assert {"hidden" in a for _, a in own} == {variant == hidden}
        count = Counter(tag for tag, _ in own)
        assert count["figure"] == len(captions())
        assert count["tr"] == 3 + 8 + 8  # claims, runs and their LLCs
        assert count["p"] == count["strong"] == 1 and count["b"] == 2
    assert len(parts) == 2 * (len(captions()) + 3 + 8 + 8 + 4)
    assert len(page.all("figure")) == 2 * len(captions()) + len(
        captions("comparison")
    )  # that of all is always there
    assert len(page.all("option")) == 2
    for text in ("σ² = 0.5;", "σ² = 0.125;"):
        assert page.text.count(text) == len(captions())
    assert "holds: 1, fails: 1, not testable: 1." in page.text
    assert "holds: 3, fails: 0, not testable: 0." in page.text
    assert page.text.count("this sweep. Claims that") == 1


def test_one_variant_needs_no_choice(tables: Tables) -> None:
    html = render(tables)
    assert 'id="variant"' not in html and "data-variant=" not in html
    assert captions("comparison")["variants"].title not in Page(html).text


def test_of_many_variants_the_page_says_how_to_draw_the_figures(tables: Tables) -> None:
    names = [f"v{number}" for number in range(MOST_OTHERS + 1)]
    config = CONFIG | {"variants": {name: {} for name in ["baseline", *names]}}
    html = render(side_by_side(*names, baseline=tables), config)
    page = Page(html)
    assert len(page.all("figure")) == len(captions()) + len(captions("comparison"))
    for variant in names:
        for name in captions():
            assert page.text.count(f"on demand: results/laptop/figures/{variant}/{name}.png.") == 1
    assert page.text.count("on demand:") == len(names) * len(captions())
    assert "This report is not complete" not in page.text


def test_a_missing_figure_of_a_variant_is_named(tables: Tables) -> None:
    config = CONFIG | {"variants": {"baseline": {}, "deeper": {}}}
    figures = dict.fromkeys(of_sweep(config), PNG)
    del figures["deeper/distances"], figures["figure1"]
    both = side_by_side("deeper", baseline=tables)
    page = Page(report.render(both, figures, config, provenance={}))
    title = captions()["distances"].title
    said = f"{title} (distances of variant deeper) is missing. It was not drawn."
    assert page.text.count(said) == 1
    assert "(figure1) is missing. It was not drawn." in page.text
    assert page.text.count("This figure is missing. It was not drawn.") == 2


def test_words_of_tables_are_made_readable() -> None:
    assert report.title_words("low_ends_near_dmmse") == "Low ends near dMMSE"
    assert report.title_words("llc_rises") == "LLC rises"
    assert report.prose("q_1 < dMMSE_M, M = inf") == ("q<sub>1</sub> &lt; dMMSE<sub>M</sub>, M = ∞")
    assert report.prose("infinity q_means") == "infinity q_means"
