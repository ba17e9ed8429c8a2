"""The page: whole, offline, bounded, and only what has changed drawn anew."""

import json
import math
import re

import pytest
from made_up_lines import run_lines

from transience.watch import page as module
from transience.watch.monitor import Monitor
from transience.watch.page import Page
from transience.watch.places import places
from transience.watch.watched import Watched


def watched(folder):
    runs = [Watched(place) for place in places(folder)]
    for one in runs:
        one.look()
    return runs


def data(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def written(page, runs, changed=(), **more):
    page.write(runs, set(changed), **{"every": 10.0, "live": True, "note": ""} | more)
    return page.path.read_text(encoding="utf-8")


@pytest.fixture
def runs(tmp_path):
    for num_tasks in (8.0, math.inf):
        run_lines(tmp_path, num_tasks)
    (tmp_path / "runs/baseline/M4_seed0").mkdir(parents=True)
    return watched(tmp_path)


@pytest.fixture
def page(tmp_path):
    return Page(tmp_path / "watch" / "watch.html", "small <sweep>")


def test_it_says_where_each_run_is(page, runs):
    text = written(page, runs)
    found = {run["name"]: run for run in data(text)["runs"]}
    eight = found["baseline/M8_seed0"]
    assert (eight["life"], eight["phase"], eight["step"], eight["last"]) == (
        "running", "specialised", 1000, 2000,
    )  # fmt: skip
    assert eight["silent"] >= 0 and eight["left"] == "1.7 min" and eight["rate"] == 0.004
    assert [band[0] for band in eight["bands"]][:2] == ["learning", "general"]
    assert found["baseline/M4_seed0"]["life"] == "waiting"
    assert found["baseline/M4_seed0"]["step"] is None
    assert re.search(r"<h1>2 of 3 running: 1 general, 1 specialised; 1 waiting</h1>", text)


def test_it_needs_nothing_else_and_is_escaped(page, runs):
    text = written(page, runs, note="a <note>")
    assert not re.search(r"""(src|href)=["'](?!#)|https?://|url\(|@import""", text)
    assert "small &lt;sweep&gt;" in text and "a &lt;note&gt;" in text and "<sweep>" not in text


def test_it_loads_itself_anew_only_while_it_is_written(page, runs):
    live, ended = written(page, runs), written(page, runs, live=False)
    refresh = '<noscript><meta http-equiv="refresh" content="10"></noscript>'
    assert refresh in live and data(live)["live"] is True
    assert refresh not in ended and "The watch has ended" in ended and not data(ended)["live"]


def test_it_is_not_loaded_again_and_again_without_pause(page, runs):
    assert data(written(page, runs, every=0.1))["every"] == module.LEAST_REFRESH


def test_only_what_has_changed_is_drawn_anew(page, runs, monkeypatch):
    written(page, runs)
    drawn, at_once = [], module.curves
    monkeypatch.setattr(
        module, "curves", lambda one, n: drawn.append(one.place.name) or at_once(one, n)
    )
    written(page, runs)
    assert drawn == []
    text = written(page, runs, ["baseline/M8_seed0"])
    assert drawn == ["baseline/M8_seed0"]
    assert data(text)["runs"][1]["curves"]["l"]


def test_a_page_is_there_whole_or_not_at_all(page, runs, monkeypatch):
    before = written(page, runs)

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fails)
    with pytest.raises(OSError, match="No space"):
        page.write(runs, set(), every=10.0, live=True, note="")
    assert page.path.read_text() == before
    assert [path.name for path in page.path.parent.iterdir()] == ["watch.html"]


def test_a_run_that_cannot_be_read_is_marked_and_the_others_are_there(page, tmp_path, runs):
    path = run_lines(tmp_path, 8.0)
    path.write_text('{"format": 99}\n')
    text = written(page, watched(tmp_path))
    found = {run["name"]: run for run in data(text)["runs"]}
    assert found["baseline/M8_seed0"]["wrong"] and "unreadable" in text
    assert not found["baseline/Minf_seed0"]["wrong"]
    assert "found format 99" in text


def test_anyones_trainings_have_a_layout_for_each_kind(page, tmp_path):
    folder = tmp_path / "mine"
    for name, losses in {"a": "xy", "b": "xy", "c": "z"}.items():
        Monitor(folder / f"{name}.jsonl", every=1)(1, dict.fromkeys(losses, 1.0))
    found = data(written(page, watched(folder)))
    assert [run["layout"] for run in found["runs"]] == [0, 0, 1]
    assert len(found["layouts"]) == 2 and {run["m"] for run in found["runs"]} == {""}


def test_it_speaks_in_the_words_of_its_family(page, runs):
    page.family = "gaussian_means"
    text = written(page, runs)
    layouts = json.dumps(data(text)["layouts"])
    shown = layouts + re.sub(r"<(script|style).*?</", "", text, flags=re.DOTALL)
    assert not re.search(r"\bridge\b(?!_)", shown) and "dMMSE" not in shown
    assert data(text)["runs"][1]["curves"]["ridge_loss"]
