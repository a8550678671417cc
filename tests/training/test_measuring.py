"""What is measured during training: the figures of the measures themselves, on the same seeds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene
from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.measures.features.fixed import normalised_pixels, random_convolutions
from phosphene.measures.memorisation import views
from phosphene.pictures.pixels import to_bytes
from phosphene.recipes.settings import changed
from phosphene.training import figures, held_out, metrics
from phosphene.training.held_out import held_out_loss
from phosphene.training.measurement import MOST, suited
from phosphene.training.train import build, resume, start
from phosphene.training.workers import Workers
from tests.conftest import Clock
from tests.training.measured import BATCH, STEPS, by_hand, measured, recipe


def test_the_figures_of_the_log_are_those_of_the_measures_on_the_same_seeds(run):
    last = measured(run)[-1]
    assert last["step"] == STEPS
    found, _ = by_hand(run)
    assert found == pytest.approx(last["measured"], rel=1e-9)


def test_the_line_says_what_it_cost_and_the_share_so_far(run):
    for line in measured(run):
        assert line["measuring_seconds"] == pytest.approx(sum(line["measuring_by_kind"].values()), abs=1e-3)
        assert 0 < line["measuring_share"] <= 0.9
    kinds = measured(run)[0]["measuring_by_kind"].keys()
    assert {"reference", "sampling", "kernel distance", "memorisation"} <= kinds
    assert "reference" not in measured(run)[-1]["measuring_by_kind"]
    facts = json.loads(max((run / "state").glob("step-*/state.json")).read_text())["facts"]
    assert facts["measuring"]["pictures"] == 40
    assert {"held-out loss", "sampling"} <= facts["measuring"]["kinds"].keys()
    assert "reference" not in facts["measuring"]["kinds"]


def test_the_best_model_is_the_one_with_the_least_figure(run):
    name = f"kd_held_out_{random_convolutions().name}"
    lines = measured(run)
    least = min(lines, key=lambda line: line["measured"][name])
    origin = phosphene.load(run, best=True).model.header.provenance
    assert origin is not None
    assert origin.step == least["step"]
    assert origin.measured == least["measured"]
    found, _ = by_hand(run, best=True)
    assert found == pytest.approx(least["measured"], rel=1e-9)
    best = [line["measured"][name] for line in lines if line["best"]]
    assert best == sorted(best, reverse=True)
    assert best[0] == lines[0]["measured"][name]


def test_sheets_show_the_same_seeds_at_each_measurement(run):
    steps = [line["step"] for line in measured(run)]
    assert sorted(path.name for path in (run / "samples").glob("step-*.png")) == [
        f"step-{step:06d}.png" for step in sorted(set(steps))
    ]
    _, values = by_hand(run)
    with Image.open(run / "samples" / f"step-{STEPS:06d}.png") as image:
        page = np.asarray(image.convert("L"))
    tile = page[4 : 4 + 64, 4 : 4 + 64][::8, ::8]
    assert (tile == to_bytes(values)[0, 0].numpy()).all()


def test_tensorboard_reads_back_what_the_log_says(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "log"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    name = f"kd_{random_convolutions().name}"
    read = {event.step: event.value for event in events.Scalars(f"measured/{name}")}
    assert read == {line["step"]: np.float32(line["measured"][name]) for line in measured(run)}
    losses = [line for line in metrics.read(run / "log" / "metrics.jsonl") if "loss" in line]
    assert {(e.step, e.value) for e in events.Scalars("loss")} == {
        (line["step"], np.float32(line["loss"])) for line in losses
    }
    held_out = [line for line in metrics.read(run / "log" / "metrics.jsonl") if "held_out_loss" in line]
    assert [e.value for e in events.Scalars("held_out_loss")] == [
        np.float32(line["held_out_loss"]) for line in held_out
    ]
    sheet = events.Images("samples")[-1]
    with Image.open(run / "samples" / f"step-{STEPS:06d}.png") as page:
        assert (sheet.step, sheet.width, sheet.height) == (STEPS, *page.size)


def test_a_resumed_run_measures_the_same(run, tmp_path):
    """From the checkpoint before the last, in another process's place: equal figures, equal weights."""
    again = tmp_path / "again"
    shutil.copytree(run, again)
    newest, before = sorted((again / "state").glob("step-*"), reverse=True)
    assert newest.name == f"step-{STEPS:08d}"
    shutil.rmtree(newest)
    assert resume(again).finished
    assert measured(again)[-1]["measured"] == measured(run)[-1]["measured"]
    mine, other = ((each / "model" / "model.safetensors").read_bytes() for each in (run, again))
    assert mine == other
    assert int(before.name.removeprefix("step-")) < STEPS


def test_measuring_changes_no_weight(run, tmp_path):
    assert start(recipe("training.measure_share=0"), tmp_path / "plain").finished
    assert not measured(tmp_path / "plain")
    assert not (tmp_path / "plain" / "best").exists()
    mine, other = ((each / "model" / "model.safetensors").read_bytes() for each in (run, tmp_path / "plain"))
    assert mine == other
    with pytest.raises(ValueError, match=r"holds no best model; .* training.measure_share above 0"):
        phosphene.load(tmp_path / "plain", best=True)


def test_without_tensorboard_a_run_says_so_once_and_goes_on(tmp_path, monkeypatch):
    from phosphene.training.train import Watcher

    said: list[str] = []

    class Hears(Watcher):
        def begins(self, dataset, size, folder, notes) -> None:
            said.extend(notes)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert start(recipe(images=4 * BATCH), tmp_path / "r", watcher=Hears()).finished
    assert [note for note in said if "TensorBoard is not installed" in note] == said
    assert len(said) == 1
    assert [path.name for path in (tmp_path / "r" / "log").iterdir()] == ["metrics.jsonl"]


def copying(tmp_path: Path, count: int) -> str:
    """So many pictures of noise: whatever is made of them by heart is a copy."""
    folder = tmp_path / "few"
    folder.mkdir()
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (count, 8, 8), np.uint8)):
        Image.fromarray(picture).save(folder / f"{i:03d}.png")
    return str(folder)


def test_a_run_of_16_pictures_that_makes_copies_of_them_stops(tmp_path, monkeypatch):
    """From its second measurement on it is taken to have learnt its pictures by heart."""
    data = prepare(find(copying(tmp_path, 16)), 8)
    training, _ = data.split(0.05, 0)
    made = figures.Made
    seen: list[int] = []

    def by_heart(pictures, features, small):
        seen.append(len(pictures))
        if len(seen) < 2:
            return made(pictures, features, small)
        known = torch.from_numpy(data.pictures[training])[torch.arange(len(pictures)) % len(training)]
        return made(known, random_convolutions()(known), views(known, normalised_pixels(8)))

    monkeypatch.setattr("phosphene.training.measurement.Made", by_heart)
    values = {
        "data.source": str(tmp_path / "few"),
        "data.held_out": 0.05,
        "training.images": 60 * 8,
        "training.batch": 8,
        "training.measure_pictures": 24,
        "training.measure_steps": 2,
        "training.stop": "memorisation",
    }
    outcome = start(changed(recipe(), values), tmp_path / "r")
    assert outcome.finished
    assert outcome.step < 60
    assert "memorisation" in [finding.kind for finding in outcome.findings]
    lines = measured(tmp_path / "r")
    assert lines[0]["measured"]["copied"] < 0.2
    assert lines[1]["measured"]["copied"] == 1
    assert [line["best"] for line in lines] == [True] + [False] * (len(lines) - 1)  # what copies is not best
    # By default it goes on, and says the same.
    seen.clear()
    outcome = start(changed(recipe(), values | {"training.stop": "never"}), tmp_path / "on")
    assert outcome.step == 60
    assert "memorisation" in [finding.kind for finding in outcome.findings]


@pytest.mark.slow
def test_140_pictures_learnt_by_heart_are_flagged(tmp_path):
    values = {
        "data.source": copying(tmp_path, 140),
        "training.images": 4000 * 32,
        "training.learning_rate": 3e-3,
        "training.measure_share": 0.05,
        "training.stop": "memorisation",
        "network.width": 32,
    }
    outcome = start(changed(recipe(), values), tmp_path / "r")
    assert "memorisation" in [finding.kind for finding in outcome.findings]
    assert outcome.step < 4000


def test_how_many_pictures_suit_a_run():
    """Steps of 32 in 0.096 s ask the network for a picture in 1 ms, 8 ms in 8 solver steps. Twelve looks
    at n pictures in half of 5% of T seconds: 12 n 0.008 = 0.025 T; one look: n 0.008 = 0.025 T."""
    data = prepare(find("digits"))
    few = ((1.0, 20), (10.0, 20), (10.3, 32), (20.4, 32), (20.5, 64))
    for seconds, pictures in (*few, (490.0, 64), (492.0, 128), (1966.0, 256), (1e9, MOST)):
        wanted = recipe("training.measure_share=0.05", f"training.budget={seconds}", images=None)
        wanted = changed(wanted, {"data.size": 8, "training.measure_pictures": None})
        trainer = build(wanted, data, torch.device("cpu"), Workers())
        trainer.clock = Clock()
        trainer.horizon.recent.extend([0.096] * 5)
        assert suited(trainer) == pictures
        trainer.horizon.recent.extend([1.0] * 50)
        assert suited(trainer) == pictures  # chosen once
        assert trainer.horizon.measuring.state()["pictures"] == pictures


def test_what_held_out_losses_ask_of_the_network():
    """The answers counted as they are given: those of the longest piece and of all pieces."""
    wanted = changed(recipe(images=2 * BATCH), {"data.size": 8, "data.held_out": 0.05})
    trainer = build(wanted, prepare(find("digits")), torch.device("cpu"), Workers())
    answers: list[int] = []
    for network in (trainer.network, trainer.shadow.network):
        network.register_forward_hook(lambda _, given, __: answers.append(len(given[0])))
    so_far = [sum(answers) for _ in held_out_loss(trainer)]
    longest, everything = held_out.asked(trainer)
    assert max(np.diff([*so_far, sum(answers)])) == longest == 8 * 64
    assert sum(answers) == everything == 8 * (64 + len(trainer.held_out) + 64)
