"""The page of a watch as a reader meets it: in Chromium, while a sweep runs, dies and goes on."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import CONTRASTS, PHONE, WIDE, needs_chromium
from playwright.sync_api import Browser, Page, expect

RUN = "baseline/M4_seed0"
PLACE = "results/smoke/runs/baseline/M4_seed0"
ONE_RUN = [("num_tasks: [1, 4, inf]", "num_tasks: [4]"), ("seeds: [0, 1]", "seeds: [0]")]
PATIENCE = 300_000  # ms: other tests may keep the machine busy


@contextlib.contextmanager
def opened(browser: Browser, path: Path, viewport=WIDE, **options: Any) -> Iterator[Page]:
    """A page, offline, in which nothing may go wrong and nothing else may be asked for."""
    said: list[str] = []
    context = browser.new_context(viewport=viewport, offline=True, **options)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda one: said.append(one.url) if one.url != path.as_uri() else None)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert said == []


def watch(project: Any, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "transience.watch", "results/smoke", *words]
    environment = os.environ | {"PYTHONPATH": "workflow/lib", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=project.folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE / 1000) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def end(process: subprocess.Popen) -> None:
    """End a sweep and all its jobs."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines(project: Any) -> list[dict[str, Any]]:
    found = list((project.results / ".resume").glob("*/*/lines.jsonl"))
    text = found[0].read_text() if found else ""
    return [json.loads(line) for line in text.splitlines()]


@needs_chromium
def test_a_sweep_is_seen_to_run_to_be_killed_and_to_go_on(project, browser) -> None:
    for old, new in [
        *ONE_RUN,
        # Far longer than anyone looks: what is seen of it doesn't race against its end
        ("num_steps: 300", "num_steps: 2000000"),
        ("linear_every: 50", "linear_every: 100000"),
        ("save_state_every_seconds: 60", "save_state_every_seconds: 1"),
    ]:
        project.edit("config/smoke.yaml", old, new)
    targets = ["results/smoke/config.json", f"{PLACE}/training.parquet"]
    sweep = project.start(*targets)
    try:
        wait_for(lambda: len(lines(project)) > 3)
        watcher = watch(project, "--every", "1", "--budget", "100", "--sequences", "16")
        page_path = project.results / "watch/watch.html"
        wait_for(page_path.is_file)
        with opened(browser, page_path) as page:
            life = page.locator(f'[data-run="{RUN}"] .life')
            expect(life).to_have_text("running", timeout=PATIENCE)
            page.locator(f'[data-run="{RUN}"]').click()
            expect(page.locator("#detail h2")).to_contain_text("M = 4, seed 0")
            # What it measures of checkpoints that are saved while it trains
            new_tasks = page.locator("#detail .plot").first.locator("path.new")
            expect(new_tasks).not_to_have_count(0, timeout=PATIENCE)
            end(sweep)
            expect(life).to_have_text("killed", timeout=PATIENCE)
            expect(page.get_by_label("To look at")).to_contain_text("Run the sweep again")
            expect(page.locator("#detail h2")).to_contain_text("killed")  # still the chosen one
            sweep = project.start(*targets, "--nolock")
            expect(life).to_have_text("running", timeout=PATIENCE)
            assert any(line.get("event") == "resumed" for line in lines(project))
            losses = json.loads((project.results / "watch/losses.json").read_text())[RUN]
            assert losses["sequences"] == 16 and losses["by_step"]
    finally:
        end(sweep)
        watcher.kill()
        watcher.communicate()


@needs_chromium
def test_a_watch_ends_with_the_sweep(project, browser) -> None:
    for old, new in ONE_RUN:
        project.edit("config/smoke.yaml", old, new)
    sweep = project.start("results/smoke/config.json", f"{PLACE}/training.parquet")
    try:
        wait_for((project.results / "config.json").is_file)
        watcher = watch(project, "--every", "1", "--sequences", "16")
        said, errors = watcher.communicate(timeout=PATIENCE / 1000)
        assert (watcher.returncode, errors) == (0, "")
        assert said.endswith("All trainings are over.\n")
        with opened(browser, project.results / "watch/watch.html") as page:
            expect(page.locator(f'[data-run="{RUN}"] .life')).to_have_text("finished")
            expect(page.get_by_text("The watch has ended")).to_be_visible()
    finally:
        end(sweep)


# A finished sweep


@pytest.fixture(scope="module")
def page_of_finished(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = finished[0]
    out = tmp_path_factory.mktemp("watch")
    process = watch(project, "--once", "--out", str(out))
    assert process.communicate(timeout=120)[1] == ""
    return out / "watch.html"


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_finished_sweep_can_be_read_anywhere(browser, page_of_finished, viewport, scheme) -> None:
    with opened(browser, page_of_finished, viewport, color_scheme=scheme) as page:
        assert page.locator("h1").inner_text() == "0 of 6 running; 6 finished"
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        assert page.locator(".run").count() == 6
        assert page.locator(".overview a").count() == 6
        page.locator(".overview a").first.click()
        page.locator("#detail .plot").first.wait_for()  # the address changes first
        assert page.locator("#detail .plot").count() >= 5
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        # Losses of the evaluation itself: every checkpoint has a point of its own
        path = page.locator("#detail .plot").first.locator("path.new:not(.constant)")
        assert path.get_attribute("d").count("L") > 3
        page.get_by_role("button", name="Close").click()
        page.locator("#detail").wait_for(state="hidden")
        assert page.locator("#detail").is_hidden()
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 50
        assert [found for found in contrasts if found[1] < 4.5] == []


@needs_chromium
def test_the_axis_and_the_place_are_kept_over_a_reload(browser, page_of_finished) -> None:
    with opened(browser, page_of_finished) as page:
        path = page.locator(".run path.own:not(.constant)").first
        before = path.get_attribute("d")
        page.get_by_label("linear in steps").check()
        linear = path.get_attribute("d")
        assert linear != before
        page.evaluate("scrollTo(0, 300)")
        page.reload()
        assert page.evaluate("scrollY") == 300
        assert path.get_attribute("d") == linear
        assert page.get_by_label("linear in steps").is_checked()


@needs_chromium
def test_a_page_that_nobody_writes_any_more_says_so(browser, page_of_finished, tmp_path) -> None:
    text = page_of_finished.read_text()
    old = re.sub(r'"written":[\d.]+,"live":false', '"written":1000,"live":true', text)
    assert old != text
    (tmp_path / "old.html").write_text(old)
    with opened(browser, tmp_path / "old.html") as page:
        assert page.get_by_text("This page is no longer written anew").is_visible()


@needs_chromium
def test_without_scripts_the_table_is_there(browser, page_of_finished) -> None:
    with opened(browser, page_of_finished, java_script_enabled=False) as page:
        assert page.locator("table.numbers tbody tr").count() == 6
        assert page.locator("#all").is_hidden() and page.locator("#stale").is_hidden()


def verified(project) -> list[str]:
    command = [sys.executable, "-m", "transience.verify", "results/smoke"]
    environment = os.environ | {"PYTHONPATH": "workflow/lib"}
    run = subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True
    )
    return run.stdout.splitlines()


def test_a_watch_changes_nothing_for_verify_and_snakemake(sweep) -> None:
    before = verified(sweep)
    process = watch(sweep, "--once")
    assert process.communicate(timeout=120)[1] == ""
    assert (sweep.results / "watch/watch.html").is_file()
    assert before and verified(sweep) == before
    assert sweep.planned() == {}
