"""The report of the smoke sweep as a reader meets it: opened offline in Chromium, and used."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browsing import CONTRASTS, PHONE, WIDE, needs_chromium
from made_up import made_up_sweep, side_by_side
from playwright.sync_api import Browser, Locator, Page

from transience.files.selections import mean_over_positions
from transience.files.tables import read_table
from transience.planning.configuration import completed
from transience.report.page import render

Open = Callable[..., Page]
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def results(finished: Any) -> Path:
    return finished[0].results


@pytest.fixture
def opened(browser: Browser, results: Path) -> Iterator[Open]:
    """Open the report; in the end, it must have asked for nothing and complained of nothing."""
    contexts, said, asked = [], [], []

    def open_report(viewport: dict[str, int] = WIDE, **options: Any) -> Page:
        contexts.append(browser.new_context(viewport=viewport, offline=True, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((results / "report.html").as_uri())
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert said == []
    assert asked == [(results / "report.html").as_uri()] * len(contexts)


@pytest.fixture
def page(opened: Open) -> Page:
    return opened()


def drawn(page: Page) -> int:
    """Checkpoints that the explorer shows."""
    paths = page.locator("#explorer .dots").all()
    return sum((path.get_attribute("d") or "").count("M") for path in paths)


def only(page: Page, num_tasks: str) -> None:
    """Switch all other M off in the legend."""
    for button in page.locator("#explorer-legend button").all():
        if button.inner_text() != num_tasks:
            button.click()


def column(table: Locator, number: int) -> list[str]:
    return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def said_by_tables(results: Path, num_tasks: float, seed: int, step: int) -> list[str]:
    """Lines with which the explorer must tell losses and distances of a checkpoint."""
    evaluation = read_table(results / "tables/evaluation.parquet", "evaluation").query(
        "num_tasks == @num_tasks and seed == @seed and step == @step"
    )
    names = {"training": "loss on its own tasks", "gaussian": "OOD loss"}
    losses = {
        text: mean_over_positions(evaluation, name)["loss"].item() for name, text in names.items()
    }
    own = mean_over_positions(evaluation, "training")
    for text, name in {"dMMSE": "distance_to_dmmse", "ridge": "distance_to_ridge"}.items():
        losses[f"distance to {text}"] = own[name].item()
    return [f"{text} {loss:#.4g}" for text, loss in losses.items()]


# The explorer


def test_the_slider_shows_training_up_to_a_step(page: Page, results: Path) -> None:
    points = read_table(results / "tables/trajectory_pca.parquet", "trajectory_pca")
    points = points[points["predictor"].isna() & (points["seed"] == 0)]
    steps = sorted(points["step"].unique())
    step = page.locator("#explorer-now")
    assert step.inner_text() == f"step {steps[-1]}"
    assert drawn(page) == len(points)
    page.locator("#explorer-step").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert step.inner_text() == f"step {steps[-3]}"
    assert drawn(page) == (points["step"] <= steps[-3]).sum()
    page.keyboard.press("Home")
    assert step.inner_text() == "step 0"
    assert drawn(page) == points["num_tasks"].nunique()


@pytest.mark.parametrize("seed", [0, 1])
def test_pointing_at_a_checkpoint_tells_its_losses(page: Page, results: Path, seed: int) -> None:
    page.get_by_label("Seed", exact=True).select_option(str(seed))
    only(page, "4")
    tip = page.locator("#explorer-tip")
    assert tip.is_hidden()
    page.locator("#explorer .star").hover()
    lines = tip.inner_text().splitlines()
    assert lines[0] == f"M = 4, seed {seed}"
    assert lines[1].split(",")[0] == "step 300"
    assert lines[2:] == said_by_tables(results, 4, seed, 300)
    page.mouse.move(1, 1)
    assert tip.is_hidden()


def test_the_least_ood_loss_is_marked(page: Page, results: Path) -> None:
    runs = read_table(results / "tables/transient_ridge.parquet", "transient_ridge")
    t_crit = runs.query("num_tasks == 4 and seed == 0")["t_crit"].item()
    only(page, "4")
    page.locator("#explorer svg").focus()
    page.keyboard.press("Home")
    tips = [page.locator("#explorer-tip").inner_text()]
    while f"step {t_crit}," not in tips[-1]:
        page.keyboard.press("ArrowRight")
        tips.append(page.locator("#explorer-tip").inner_text())
        assert tips[-1] != tips[-2], "the end, without t_crit"
    assert "t_crit: its least OOD loss" in tips[-1]
    assert said_by_tables(results, 4, 0, t_crit) == tips[-1].splitlines()[2:]
    assert not any("t_crit" in tip for tip in tips[:-1])


def test_components_can_be_chosen(page: Page, results: Path) -> None:
    components = read_table(
        results / "tables/trajectory_pca_components.parquet", "trajectory_pca_components"
    ).query("seed == 0")
    part = components.groupby("component")["explained_variance_fraction"].first()
    label = page.locator("#explorer .x-label")
    assert label.text_content() == f"PC1 ({100 * part[1]:.1f} %)"
    before = page.locator("#explorer .dots").first.get_attribute("d")
    page.get_by_label("Across", exact=True).select_option("2")
    assert label.text_content() == f"PC3 ({100 * part[3]:.1f} %)"
    assert page.locator("#explorer .dots").first.get_attribute("d") != before


def test_the_legend_switches_diversities(page: Page) -> None:
    button = page.get_by_role("button", name="M = ∞")
    assert page.locator("#explorer .path").count() == 3
    button.focus()
    page.keyboard.press("Space")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator("#explorer .path").count() == 2
    page.keyboard.press("Enter")
    assert page.locator("#explorer .path").count() == 3


def test_the_end_of_training_can_be_seen_enlarged(page: Page, results: Path) -> None:
    points = read_table(results / "tables/trajectory_pca.parquet", "trajectory_pca")
    steps = points[points["predictor"].isna() & (points["seed"] == 0)]["step"]
    begin = page.get_by_label("From", exact=True)
    choices = begin.locator("option").all_inner_texts()
    assert choices[0] == "the start" and len(choices) > 2
    whole = page.locator("#explorer .star").first.get_attribute("points")
    begin.select_option(choices[-1])
    late = int(choices[-1].removeprefix("step "))
    assert late >= 0.6 * steps.max()
    assert drawn(page) == (steps >= late).sum()
    assert page.locator("#explorer .star").first.get_attribute("points") != whole
    page.locator("#explorer svg").focus()
    page.keyboard.press("Home")
    assert f"step {late}" in page.locator("#explorer-tip").inner_text()
    page.locator("#explorer-step").focus()
    page.keyboard.press("Home")
    assert drawn(page) == 3
    begin.select_option("the start")
    assert drawn(page) == (steps <= late).sum()


def test_it_works_with_a_finger_on_a_phone(opened: Open) -> None:
    page = opened(PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    only(page, "1")
    page.locator("#explorer .star").tap()
    assert page.locator("#explorer-tip").inner_text().startswith("M = 1, seed 0\nstep 300")


# Variants


@pytest.fixture
def variants_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """A page of two made-up variants, in which nothing may go wrong."""
    deep = made_up_sweep([1.0, math.inf], 1)
    tables = side_by_side(baseline=made_up_sweep([1.0, 8.0, math.inf], 2), deep=deep)
    written = {"sweep": {"num_tasks": [1, 8, "inf"]}, "variants": {"baseline": {}, "deep": {}}}
    config = completed({"experiment": "made-up"} | written)
    (tmp_path / "report.html").write_text(render(tables, {}, config, provenance={}), "utf-8")
    contexts, said = [], []

    def open_page(viewport: dict[str, int] = WIDE, **options: Any) -> Page:
        contexts.append(browser.new_context(viewport=viewport, offline=True, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((tmp_path / "report.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def shown_of(page: Page) -> set[str | None]:
    """The variants of which anything is to be seen."""
    parts = page.locator("[data-variant]:visible").all()
    return {part.get_attribute("data-variant") for part in parts}


def test_a_variant_is_chosen_for_the_whole_page(variants_page: Open) -> None:
    page = variants_page()
    runs = page.locator("table.numbers", has_text="Deflection").locator("tbody tr:visible")
    assert shown_of(page) == {"baseline"}
    assert (runs.count(), page.locator("#explorer .path").count()) == (6, 3)
    page.get_by_label("Variant", exact=True).select_option("deep")
    assert shown_of(page) == {"deep"}
    assert (runs.count(), page.locator("#explorer .path").count()) == (2, 2)
    assert page.locator("#explorer-seed option").count() == 1
    for section in ("h1", "p.result", ".claims tbody tr"):
        assert page.locator(f"{section}:visible").count() == {".claims tbody tr": 3}.get(section, 1)
    page.get_by_label("Variant", exact=True).select_option("baseline")
    assert shown_of(page) == {"baseline"} and page.locator("#explorer .path").count() == 3


def test_the_choice_stays_in_sight_and_fits_a_phone(variants_page: Open) -> None:
    page = variants_page(PHONE)
    page.evaluate("document.getElementById('glossary').scrollIntoView()")
    assert page.locator("#variant").evaluate("e => e.getBoundingClientRect().top") >= 0
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.emulate_media(media="print")
    assert page.locator("#variant").is_hidden()


def test_without_scripts_one_variant_is_shown(variants_page: Open) -> None:
    page = variants_page(java_script_enabled=False)
    assert shown_of(page) == {"baseline"}
    assert page.locator("#variant").is_hidden()


# The page


def test_tables_sort_by_a_column(page: Page, results: Path) -> None:
    table = page.locator("table.numbers", has_text="Deflection")
    runs = read_table(results / "tables/transient_ridge.parquet", "transient_ridge")
    header = table.locator("th[scope=col]", has_text="crit (step)")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    shown = pd.Series(column(table, 3)).str.replace(",", "").astype(int)
    assert shown.tolist() == sorted(runs["t_crit"])
    other = table.locator("th[scope=col]").first
    for key, expected in (("Enter", "ascending"), ("Space", "descending")):
        other.get_by_role("button").focus()
        page.keyboard.press(key)
        assert other.get_attribute("aria-sort") == expected
    assert header.get_attribute("aria-sort") == "none"
    assert column(table, 1) == ["∞", "∞", "4", "4", "1", "1"]
    other = table.locator("th[scope=col]", has_text="Deflection")
    other.get_by_role("button").click()
    assert column(table, 10)[-2:] == ["–", "–"]  # what is missing comes last


def test_on_a_phone_every_verdict_is_seen_without_scrolling_sideways(opened: Open) -> None:
    page = opened(PHONE)
    for badge in page.locator(".claims .badge").all():
        box = badge.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    assert page.locator(".claims thead").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_finding_and_figure_come_first(page: Page) -> None:
    headings = page.locator("h1, h2").all_inner_texts()
    assert "Figure 1" in headings[1] and "claims" in headings[2]


def test_figures_point_to_their_files(page: Page, results: Path) -> None:
    addresses = [link.get_attribute("href") for link in page.locator(".files a").all()]
    assert len(addresses) > 40
    assert [one for one in addresses if not (results / one).is_file()] == []


def test_it_prints_without_the_explorer(page: Page) -> None:
    page.emulate_media(media="print")
    assert page.locator("#explore").is_hidden()
    assert page.locator("figure").first.is_visible()


def test_without_scripts_the_explorer_says_so(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.get_by_text("The explorer needs JavaScript").is_visible()
    assert page.locator("#explorer-step").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_the_keyboard_is_seen(opened: Open, scheme: str) -> None:
    page = opened(color_scheme=scheme)
    page.locator("#explorer svg").focus()
    page.keyboard.press("End")
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 200
    assert [found for found in contrasts if found[1] < 4.5] == []
    for part in ("#explorer svg", "#explorer-step", "#explorer-seed", "#explorer-legend button",
                 ".sortable th button"):  # fmt: skip
        page.locator(part).first.focus()
        page.keyboard.press("Shift")
        assert page.locator(f"{part}:focus-visible").count() == 1
        style = "element => getComputedStyle(element).outlineWidth"
        assert page.locator(part).first.evaluate(style) == "3px"
