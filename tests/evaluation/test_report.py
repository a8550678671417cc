"""Reports: every figure is one of evaluation.json; hostile names stay words; cost by hand."""

import json
import re
from importlib import import_module

import numpy as np
import pytest
import torch

import phosphene
from phosphene.evaluation import along, chapters, cost
from phosphene.evaluation.record import read
from phosphene.evaluation.report import unlearned, verdict
from phosphene.evaluation.singles import too_few
from phosphene.measures.memorisation import Views
from phosphene.pages import blocks
from phosphene.training import figures
from phosphene.training.options import find_recipe
from tests.browser import PHONE, opened, sound
from tests.pages.test_pages import Seen


@pytest.fixture(scope="module")
def html(evaluated) -> str:
    return phosphene.report(evaluated, threads=1).read_text()


def test_every_figure_of_the_report_is_one_of_the_evaluation(html, evaluation):
    """And the other way round: names, values, intervals and floors of the tables, cell by cell."""
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html)
    for figure in evaluation.figures:
        arrow = {"lower": "\N{NO-BREAK SPACE}↓", "higher": "\N{NO-BREAK SPACE}↑", "neither": ""}[
            figure.better
        ]
        places = [i for i, cell in enumerate(cells[:-1]) if cell == f"{figure.name}{arrow}"]
        # Where figures come from is another table.
        places = [place for place in places if not cells[place + 1].startswith("phosphene.")]
        assert places, figure.name
        for place in places:
            between = (
                ""
                if figure.low is None or figure.high is None
                else f"{blocks.number(figure.low)} to {blocks.number(figure.high)}"
            )
            floored = "" if figure.floor is None else blocks.number(figure.floor)
            assert cells[place + 1 : place + 4] == [blocks.number(figure.value), between, floored]
    assert evaluation.samples.fingerprint in html
    for figure in evaluation.figures:
        assert figure.function in html


def test_every_figure_is_traced_to_function_encoder_and_pictures(evaluation):
    """Row by row: its function with arguments, its encoder, and sets whose fingerprints stand above."""
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in chapters.trace(evaluation).split("<tr>")]
    marks = {row[0]: row[4] for row in rows if len(row) == 5}
    traced = [row for row in rows if len(row) == 7]
    assert len(set(marks.values())) == len(marks)
    for figure, row in zip(evaluation.figures, traced, strict=True):
        sets = [some.fingerprint if some else "" for some in (figure.samples, figure.reference, figure.twin)]
        assert [marks.get(cell, "") for cell in row[3:6]] == sets
        assert (row[0], row[1].split("(")[0], row[2]) == (figure.name, figure.function, figure.encoder or "")
        assert all(f"{name}=" in row[1] for name in figure.arguments)


def test_the_page_has_its_chapters_and_needs_nothing_else(html):
    titles = re.findall(r"<h2>([^<]*)</h2>", html)
    assert titles == [
        "Summary",
        "Samples",
        "Figures",
        "Training",
        "Nearest training pictures",
        "From picture to noise and back",
        "Time, energy, cost",
        "Data",
        "Recipe",
        "How to reproduce",
    ]
    for tag, attrs in Seen(html).tags:
        assert tag not in ("script", "link", "iframe")
        assert (attrs.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
    assert not re.search("https?:", html)


def test_hostile_names_stay_words(copy):
    """In the log's findings, in names of pictures, in the recipe."""
    bad = "<script>alert(1)</script>"
    log = copy / "log" / "metrics.jsonl"
    log.write_text(
        log.read_text() + json.dumps({"step": 3, "finding": bad, "what": bad, "advice": bad}) + "\n"
    )
    path = copy / "evaluation.json"
    values = json.loads(path.read_text())
    values["nearest"][0]["name"] = bad
    values["figures"][0]["about"] = bad
    path.write_text(json.dumps(values))
    recipe = copy / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('summary = "', f'summary = "{bad} ', 1))
    html = phosphene.report(copy, threads=1).read_text()
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_what_the_watch_found_is_told_once_a_kind():
    lines = [{"step": s, "finding": "nan", "what": f"at {s}", "advice": "stop"} for s in (3, 4, 9)]
    (note,) = chapters.findings([*lines, {"step": 1, "loss": 2.0}])
    assert "Step 3 (and 2 times more until step 9): at 9 stop" in note


def test_a_model_that_tells_less_than_none_is_named(evaluation):
    """By the last of bits/dim, the tightest, and only where its whole interval is above 8."""
    some = next(figure for figure in evaluation.figures if figure.name.startswith("bits/dim"))

    def told(*bits: tuple[float, float]) -> str:
        figures = tuple(some.model_copy(update={"value": value, "low": low}) for value, low in bits)
        return "".join(unlearned(evaluation.model_copy(update={"figures": figures})))

    assert told() == ""
    assert told((8.5, 7.9)) == ""
    assert told((11.0, 10.0), (4.0, 3.9)) == ""
    assert "is 8.500: more than the 8 bits" in told((11.0, 10.0), (8.5, 8.4))


def test_memorisation_that_was_not_measured_is_said_with_what_helps(evaluation):
    figures = tuple(f for f in evaluation.figures if not f.name.startswith("memorisation"))
    left = (("memorisation-pixels-16", too_few(12, 313)),)
    words = verdict(evaluation.model_copy(update={"figures": figures, "left_out": left}))
    assert (
        "not measured: 12 held-out pictures; at least 20 are needed: train with --set data.held_out=0.1."
        in words
    )
    assert too_few(9, 59) == "9 held-out pictures; at least 20 are needed"


def test_figures_of_an_earlier_model_are_not_shown(copy):
    path = copy / "evaluation.json"
    values = json.loads(path.read_text())
    values["model"] = "0" * 64
    path.write_text(json.dumps(values))
    html = phosphene.report(copy, threads=1).read_text()
    assert "of an earlier state of the model" in html
    assert "KD-" not in html


def test_the_command_that_is_told_makes_the_same_figures(evaluated, copy, cli):
    before = read(copy / "evaluation.json")
    words = chapters.evaluate_command(copy, before).split()[1:]
    assert cli(*words, "--quiet").code == 0
    assert before.differences(read(copy / "evaluation.json")) == []


def test_cost_by_hand():
    """Two hours at 300 W: 0.6 kWh; at 0.5 a kWh and 2 an hour: 4.30."""
    prices = cost.Prices(300.0, 0.5, 2.0, "CHF")
    spent = cost.cost(7200.0, cost.power(prices, "cpu", 55.0), prices)
    assert (spent.hours, spent.kwh, spent.money) == pytest.approx((2.0, 0.6, 4.3))
    assert "300 W (as given)" in spent.words
    assert cost.power(cost.Prices(), "cuda", None).watts == cost.USUAL["cuda"]
    assert "by RAPL" in cost.power(cost.Prices(), "cpu", 41.0).why


def test_the_meter_reads_counters(tmp_path, monkeypatch):
    place = tmp_path / "intel-rapl:0"
    place.mkdir()
    (place / "energy_uj").write_text("1000000\n")
    ticks = iter([10.0, 14.0])
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(ticks))
    meter = cost.Meter(tmp_path)
    (place / "energy_uj").write_text("81000000\n")
    assert meter.watts() == pytest.approx(20.0)


def test_curves_are_thinned_to_means():
    points = [(float(i), float(i)) for i in range(1000)] + [(5.0, float("nan"))]
    thin = along.thinned(points)
    assert len(thin.x) == len(thin.y) == 250
    assert (thin.x[0], thin.y[0]) == (1.5, 1.5)


def test_in_a_browser(browser, html, evaluated):
    """With all its pictures: samples, nearest pairs, trajectories, training pictures; and its charts."""
    seen = sound(browser, evaluated / "report.html")
    assert seen.pictures == html.count("<img ") > 100
    assert seen.charts == html.count("<svg ") >= 5


def test_on_a_phone_every_figure_is_read_without_scrolling_sideways(browser, evaluated, evaluation):
    """Rows of tables are cards: each cell lies between the edges of the window."""
    with opened(browser, evaluated / "report.html", PHONE) as (page, _):
        cells = page.locator("#figures table.cards td:not(:empty)")
        boxes = [box for one in cells.all() if (box := one.bounding_box()) is not None]
        firsts = page.locator("#figures .cards td:first-child").all_inner_texts()
        names = [words.split()[0] for words in firsts if words]  # none of what is closed
    assert {figure.name.split()[0] for figure in evaluation.figures} <= set(names)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= PHONE for box in boxes)


def test_what_was_measured_along_the_way_is_drawn_together_with_its_function():
    """Columns as training names them: a chart of those that belong together, intervals as bands."""
    figures = {"kd_a": 0.5, "kd_a_low": 0.0, "kd_a_high": 1.0, "kd_held_out_a": 0.6, "copied": 0.0}
    figures |= {
        "copied_by_chance": 0.01,
        "colour_mean_of_red": 0.1,
        "colour_drift": 2.0,
        "vendi_a": 1.0,
        "x": 3,
    }
    log = [{"step": s, "pictures": 64, "measured": figures, "best": s == 2} for s in (1, 2, 3)]
    drawn = along.measured(log)
    titles = [re.search(r'aria-label="([^"]*)"', chart)[1] for chart in drawn]  # type: ignore[index]
    assert titles == [*(group.title for group in along.GROUPS if not group.title.startswith("Contrast")), "x"]
    assert "to held-out pictures" in drawn[0]
    assert "phosphene.measures.kernel.kernel_distance on a<" in drawn[0]
    assert [chart.count("fill-opacity") for chart in drawn] == [1, 0, 0, 0, 0, 0]  # the one band
    for group in along.GROUPS:
        module, _, name = group.function.rpartition(".")
        assert callable(getattr(import_module(module), name))
    said = along.how(log, find_recipe("flow"))
    assert said[0].startswith("64 samples by the averaged weights, of seed 0")
    assert said[1] == "The model that measured best was that of step 2; best/ keeps it."


def test_every_column_that_training_writes_is_in_a_chart_of_its_kind():
    """Of grey and colour pictures, with what `training.figures` computes."""
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        seen = torch.from_numpy(rng.integers(0, 256, (24, channels, 8, 8), dtype=np.uint8))
        rows = rng.normal(size=(24, 4)).astype(np.float32)
        small = Views(rows, rows)
        made = figures.Made(seen, rows, small)
        known = figures.Known("e", rows, rows, seen, rows, small, np.arange(24), small)
        found = figures.kernel(made, known) | figures.colours(made, known) | figures.diversities(made, known)
        judged = figures.copies(made, known)
        assert judged is not None
        found |= figures.copied(judged)
        drawn = along.measured([{"step": 1, "measured": figures.finite(found)}])
        assert len(drawn) == len(along.GROUPS) - (
            channels == 1 and "colour_drift" not in figures.finite(found)
        )


def test_the_share_of_measuring_is_the_logs_last(copy):
    log = copy / "log" / "metrics.jsonl"
    log.write_text(log.read_text() + json.dumps({"step": 10, "measuring_share": 0.0437}) + "\n")
    assert "4.4% (5.0% at most was asked)" in phosphene.report(copy, threads=1).read_text()
