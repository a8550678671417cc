"""Comparisons: what is refused and why; differences against closed forms."""

import json

import numpy as np
import pytest

from phosphene.evaluation import compare as comparing
from phosphene.evaluation import side_by_side
from phosphene.evaluation.record import Evaluation, Figure
from tests.browser import sound

ABOUT = {"about": "a", "function": "f", "better": "lower"}


def figure(value: float, reach: float | None = None, each: tuple[float, ...] | None = None) -> Figure:
    ends = {} if reach is None else {"low": value - reach, "high": value + reach}
    return Figure.model_validate({"name": "F", "value": value, "each": each, **ends, **ABOUT})


def test_unpaired_differences_add_in_squares():
    """Half-widths 3 and 4 make 5."""
    found = comparing.difference(figure(10.0, 3.0), figure(16.0, 4.0))
    assert found is not None
    assert tuple(found.interval) == pytest.approx((6.0, 1.0, 11.0))
    assert (found.significant, found.paired) == (True, False)
    near = comparing.difference(figure(10.0, 3.0), figure(14.0, 4.0))
    assert near is not None
    assert not near.significant
    assert comparing.difference(figure(1.0), figure(2.0, 1.0)) is None


def test_paired_differences_see_what_unpaired_ones_cannot():
    """A constant gap is certain, however much pictures differ; the interval is that of a mean."""
    rng = np.random.default_rng(0)
    a = rng.normal(0, 10, 400)
    gap = rng.normal(0.5, 1, 400)
    one, other = (figure(float(x.mean()), 5.0, tuple(x.tolist())) for x in (a, a + gap))
    found = comparing.difference(one, other)
    assert found is not None
    assert found.paired
    assert found.interval.value == pytest.approx(gap.mean())
    half = 1.96 * gap.std() / 20
    assert found.interval.high - found.interval.low == pytest.approx(2 * half, rel=0.1)
    assert found.significant
    assert tuple(comparing.bootstrap_mean(np.full(9, 2.5))) == (2.5, 2.5, 2.5)


def test_the_best_is_named_where_there_is_one():
    rows = [comparing.row([figure(2.0), figure(1.0), figure(3.0)])]
    rows.append(comparing.row([one.model_copy(update={"better": "higher"}) for one in rows[0].figures]))
    rows.append(comparing.row([one.model_copy(update={"better": "neither"}) for one in rows[0].figures]))
    rows.append(comparing.row([figure(1.0), figure(1.0)]))
    assert [row.best for row in rows] == [1, 2, None, None]


def test_two_runs_on_equal_footing(evaluated, other, evaluation, tmp_path, cli, browser):
    """Of different seeds: both hold out the same pictures."""
    comparison = comparing.compare([evaluated, other])
    assert comparison.names == ("one", "two")
    assert [row.name for row in comparison.rows] == [figure.name for figure in evaluation.figures]
    loss = next(row for row in comparison.rows if row.name == "held-out loss")
    assert loss.differences[1] is not None
    assert loss.differences[1].paired
    said = cli("compare", evaluated, other, "--out", tmp_path / "page.html")
    assert said.code == 0, said.err
    html = (tmp_path / "page.html").read_text()
    sound(browser, tmp_path / "page.html")
    for row in comparison.rows:
        for words in side_by_side.cells(row):
            assert words in html
    itself = comparing.compare([evaluated, evaluated / "evaluation.json"])
    for row in itself.rows:
        if row.differences[1] is not None:
            assert not row.differences[1].significant, row.name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_fingerprint": "f" * 64}, "data fingerprint"),
        ({"asked": {"count": 61}}, "samples 60 and 61"),
        ({"asked": {"seed": 1}}, "seed 0 and 1"),
        ({"asked": {"likelihood": 9}}, "ELBO pictures 4 and 9"),
        ({"asked": {"tolerance": 0.01}}, "ODE tolerance 0.1 and 0.01"),
        ({"figures": 0}, "encoders"),
    ],
)
def test_what_differs_is_refused_in_a_line(evaluated, copy, cli, change, words):
    path = copy / "evaluation.json"
    values = json.loads(path.read_text())
    if "figures" in change:
        values["figures"] = [one for one in values["figures"] if "random-conv" not in (one["encoder"] or "")]
    elif "asked" in change:
        values["asked"] |= change["asked"]
    else:
        values |= change
    path.write_text(json.dumps(values))
    said = cli("compare", evaluated, copy)
    assert said.code == 2
    lines = said.err.splitlines()
    assert any(words in line for line in lines), lines
    assert all(line.startswith("phosphene: not comparable: one and copy: ") for line in lines)
    with pytest.raises(comparing.NotComparableError) as error:
        comparing.compare([evaluated, copy])
    assert len(error.value.reasons) == len(lines)


def test_a_run_without_evaluation_is_named(run, evaluated, tmp_path, cli):
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "recipe.toml").write_text((run / "recipe.toml").read_text())
    said = cli("compare", evaluated, tmp_path / "fresh")
    assert said.code == 2
    assert "no evaluation here; make one: phosphene evaluate" in said.err
    assert "2 or more" in cli("compare", evaluated).err or "two or more" in cli("compare", evaluated).err


def test_an_evaluation_that_is_damaged_is_named(evaluation: Evaluation, tmp_path):
    from phosphene.evaluation.record import read

    path = tmp_path / "evaluation.json"
    path.write_text(evaluation.model_dump_json().replace('"count":60', '"count":"many"', 1))
    with pytest.raises(ValueError, match=r"evaluation\.json: "):
        read(path)
    path.write_text(evaluation.model_dump_json())
    assert read(path) == evaluation


def test_runs_are_named_shortly(evaluated, evaluation, tmp_path):
    """By folder, with the length of an average that is not shipped; by file where that is the same."""
    other = evaluation.model_copy(update={"asked": evaluation.asked.model_copy(update={"ema": 0.05})})
    beside = tmp_path / "one" / "evaluation-ema0.05.json"
    beside.parent.mkdir()
    beside.write_text(other.model_dump_json())
    assert comparing.compare([evaluated, beside]).names == ("one", "one, ema 0.05")
    again = tmp_path / "one" / "evaluation.json"
    again.write_text(evaluation.model_dump_json())
    assert comparing.compare([evaluated, again]).names == (str(evaluated / "evaluation.json"), str(again))
