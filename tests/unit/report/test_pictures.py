"""The figures of the page: which there are, of which variant, embedded or linked."""

import pytest

from transience.figures.captions import captions, of_sweep
from transience.planning.configuration import completed
from transience.report import pictures as module
from transience.report.pictures import pictures

PNG = b"\x89PNG\r\n"
ALONE = completed({"experiment": "e", "sweep": {}})
WIDE = {"baseline": {}, "wide": {"task": {"noise_variance": 0.5}}}
BOTH = completed({"experiment": "e", "sweep": {}, "variants": WIDE})


def test_one_variant_has_each_figure_once() -> None:
    found = pictures(ALONE, dict.fromkeys(captions(), PNG), {})
    assert [*found] == [*captions()]
    assert {len(each) for each in found.values()} == {1}
    assert {each[0].variant for each in found.values()} == {"baseline"}


def test_every_variant_has_its_figures_and_the_comparison_is_first() -> None:
    found = pictures(BOTH, dict.fromkeys(of_sweep(BOTH), PNG), {})
    together = [found.pop(name) for name in captions("comparison")]
    assert list(found) == list(captions())
    assert all(picture.variant is None for (picture,) in together)
    for shown, other in found.values():
        assert (shown.variant, other.variant) == ("baseline", "wide")
        assert "σ² = 0.125" in shown.caption.text and "σ² = 0.5" in other.caption.text
    assert all("Scale:" not in picture.caption.text for (picture,) in together)


def test_the_variant_that_is_chosen_comes_first() -> None:
    config = BOTH | {"figures": BOTH["figures"] | {"variant": "wide"}}
    assert "baseline/figure1" in of_sweep(config)
    found = pictures(config, dict.fromkeys(of_sweep(config), PNG), {})
    assert [picture.variant for picture in found["figure1"]] == ["wide", "baseline"]


def test_a_large_page_links_what_is_not_shown_first(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = dict.fromkeys(of_sweep(BOTH), PNG)
    for most, linked in ((0, False), (-1, True)):
        monkeypatch.setattr(module, "MOST_EMBEDDED", len(PNG) * len(figures) + most)
        found = pictures(BOTH, figures, {})
        for name, each in found.items():
            assert each[0].source.startswith("data:image/png;base64,")
            if name in captions():
                assert (each[1].source == f"figures/wide/{name}.png") == linked


def test_a_missing_picture_says_why() -> None:
    figures = dict.fromkeys(of_sweep(BOTH), PNG)
    del figures["wide/figure1"]
    shown, other = pictures(BOTH, figures, {"wide/figure1": "no ink"})["figure1"]
    assert (shown.missing, other.missing) == ("", "no ink")
    assert shown.source and other.source is None
