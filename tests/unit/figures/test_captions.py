"""The list of figures: what they read, and one caption for both reports."""

import io
from types import SimpleNamespace

import docutils.core
import jinja2
import pytest
import yaml
from made_up import made_up_sweep

from transience.figures.captions import PAGE, captions, filled, of_sweep
from transience.figures.draw import draw
from transience.files.tables import schemas

CONFIG = yaml.safe_load((PAGE.parents[1] / "config/config.yaml").read_text(encoding="utf-8"))


ALL = captions() | captions("comparison") | captions("on_demand")


@pytest.mark.parametrize("name", ALL)
def test_a_figure_reads_tables_and_has_a_module_of_its_name(name: str) -> None:
    found = ALL[name]
    assert set(found.reads) <= set(schemas())
    assert (PAGE.parent / f"lib/transience/figures/{name}.py").is_file()


@pytest.mark.parametrize("name", captions())
def test_captions_know_which_figures_smooth(name: str) -> None:
    tables, drawn = made_up_sweep([1.0, 8.0, float("inf")], 2), [io.BytesIO(), io.BytesIO()]
    for window, file in zip((1, 5), drawn, strict=True):
        draw(name, tables, smoothing_window=window).savefig(file, dpi=60)
    changes = drawn[0].getvalue() != drawn[1].getvalue()
    assert captions()[name].smooths == changes


def test_figures_of_a_sweep_are_those_of_every_variant() -> None:
    assert of_sweep(CONFIG) == [*captions()]
    config = CONFIG | {"variants": {"wide": {}, "deep": {}}}
    others = [f"wide/{name}" for name in captions()]
    assert of_sweep(config) == [*captions(), *captions("comparison"), *others]
    config = config | {"figures": CONFIG["figures"] | {"variant": "wide"}}
    others = [f"deep/{name}" for name in captions()]
    assert of_sweep(config) == [*captions(), *captions("comparison"), *others]


def test_captions_are_filled_and_escape_what_fills_them() -> None:
    config = CONFIG | {"task": CONFIG["task"] | {"noise_variance": "<b>&"}}
    for name in captions():
        text = filled(name, config).text
        assert "σ² = &lt;b&gt;&amp;;" in text and "{" not in text


@pytest.mark.parametrize("name", captions())
def test_captions_of_the_llc_begin_by_saying_that_it_is_off(name: str) -> None:
    off = CONFIG | {"llc": CONFIG["llc"] | {"checkpoints": []}}
    says = filled(name, off).text.startswith("<b>LLC is off</b>")
    assert says == ("llc" in captions()[name].reads)
    assert "LLC is off" not in filled(name, CONFIG).text


@pytest.mark.parametrize("name", captions())
def test_snakemakes_report_has_the_captions_of_the_page(name: str) -> None:
    """As Snakemake renders figure.rst: Jinja, then docutils, without our settings."""
    caption = filled(name, CONFIG)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((PAGE / "figure.rst").read_text(encoding="utf-8"))
    text = template.render(snakemake=SimpleNamespace(params=SimpleNamespace(caption=caption)))
    body = docutils.core.publish_parts(text, writer="html")["body"]
    assert body.strip() == f"<p><b>{caption.title}.</b> {caption.text}</p>"
