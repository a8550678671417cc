"""Evaluations: each figure is the measure called by hand on the kept pictures, and comes out again."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene
from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import keys
from phosphene.evaluation import evaluate as evaluating
from phosphene.evaluation import sets
from phosphene.evaluation.answers import shapes_seen, variation
from phosphene.evaluation.record import Evaluation, Figure, fingerprint, read, read_samples
from phosphene.evaluation.subject import GRID
from phosphene.families.generator import load
from phosphene.measures import digits, distances, interval, kernel, likelihood, manifold, memorisation, sliced
from phosphene.measures.colour import colour
from phosphene.measures.diversity import diversity
from phosphene.measures.features.encoder import Encoder
from phosphene.measures.features.encoders import ENCODERS
from phosphene.measures.floor import floor
from phosphene.measures.two_sample import two_sample
from phosphene.pictures.pixels import to_bytes, to_values


class Hand:
    """The pictures of an evaluation, found again without it."""

    def __init__(self, root: Path, evaluation: Evaluation) -> None:
        self.data = prepare(find("digits"))
        assert self.data.labels is not None
        self.labels = self.data.labels
        self.training, self.held_out = self.data.split(0.05, 0)
        # As the words of sets.choose have it: drawn with the seed, in ascending order.
        rng = np.random.default_rng([0, 0])
        training, held_out = rng.permutation(self.training), rng.permutation(self.held_out)
        self.reference = np.sort(training[:60])
        self.twin = np.sort(np.concatenate([held_out, training[60:]])[:60])
        self.made = read_samples(root, evaluation)

    def features(self, encoder: Encoder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pictures = self.data.pictures
        return encoder(self.made), encoder(pictures[self.reference]), encoder(pictures[self.twin])


@pytest.fixture(scope="module")
def hand(evaluated, evaluation) -> Hand:
    return Hand(evaluated, evaluation)


def test_sets_are_what_they_are_said_to_be(evaluated, evaluation, hand):
    """Fingerprints of pictures found by hand; samples with the reference's labels, by number and seed."""
    for figure in evaluation.figures:
        if figure.encoder is not None and not figure.name.startswith("memorisation"):
            assert figure.reference.fingerprint == fingerprint(hand.data.pictures[hand.reference])
            assert figure.twin.fingerprint == fingerprint(hand.data.pictures[hand.twin])
            assert figure.samples == evaluation.samples
    assert not set(hand.reference) & set(hand.twin)
    labels = [str(label) for label in hand.labels[hand.reference]]
    made = load(evaluated).sample(60, seed=0, label=labels, steps=4)
    np.testing.assert_array_equal(to_bytes(made.values).numpy(), hand.made)
    assert evaluation.samples.fingerprint == fingerprint(hand.made)


@pytest.mark.parametrize("name", ["random-conv", "dct-bands"])
def test_figures_on_features_are_the_measures_called_by_hand(evaluation, hand, name):
    encoder = ENCODERS[name]()
    made, reference, twin = hand.features(encoder)
    real, wide = np.concatenate([reference, twin]), [made.astype(float), reference.astype(float)]
    called = {
        f"KD-{encoder.name}": kernel.kernel_distance(made, reference, seed=0),
        f"FD-{encoder.name}": interval.jackknife(distances.frechet, wide),
        f"sliced-Wasserstein-{encoder.name}": interval.jackknife(sliced.sliced_wasserstein, wide),
        f"two-sample-{encoder.name}": two_sample(real, made, 0).accuracy,
        f"spread-{encoder.name}": diversity(made, reference, 0).spread,
        f"Vendi-{encoder.name}": diversity(made, reference, 0).vendi,
    }
    for figure, expected in called.items():
        found = evaluation.figure(figure)
        assert (found.value, found.low, found.high) == tuple(expected), figure
        assert found.encoder == encoder.name
    four = manifold.prdc(reference, made)
    for field, value in four._asdict().items():
        assert evaluation.figure(f"{field}-{encoder.name}").value == value
    assert evaluation.figure(f"FD-{encoder.name}").value == distances.frechet(made, reference)


def test_floors_are_real_against_real(evaluation, hand):
    encoder = ENCODERS["random-conv"]()
    _, reference, twin = hand.features(encoder)
    real = np.concatenate([reference, twin])
    by_hand = floor(real, 60, distances.frechet, 0).interval.value
    assert evaluation.figure(f"FD-{encoder.name}").floor == by_hand
    control = two_sample(real, reference, 0).control.value
    assert evaluation.figure(f"two-sample-{encoder.name}").floor == control
    assert by_hand < evaluation.figure(f"FD-{encoder.name}").value


def test_copies_by_hand(evaluation, hand):
    encoder = ENCODERS["normalised-pixels"]()
    pictures = hand.data.pictures
    found = memorisation.memorisation(
        memorisation.views(hand.made, encoder),
        encoder(pictures[hand.training]),
        memorisation.views(pictures[hand.held_out], encoder),
    )
    figure = evaluation.figure(f"memorisation-{encoder.name}")
    assert (figure.value, figure.low, figure.high, figure.floor) == (*found.share, found.null.value)
    assert figure.each == tuple(found.copies.astype(float))
    first = evaluation.nearest[0]
    assert first.sample == int(found.made.calibrated.argmin())
    assert first.index == hand.training[found.made.nearest[first.sample]]
    assert first.name == hand.data.names[first.index]


def test_digits_and_colour_by_hand(evaluation, hand):
    labels = hand.labels[hand.reference].tolist()
    read_ = digits.read(to_values(torch.from_numpy(hand.made)), labels)
    assert evaluation.figure("digits read").value == pytest.approx(read_.accuracy, abs=1e-12)
    for drift in colour(hand.made, hand.data.pictures[hand.reference]):
        figure = evaluation.figure(f"colour: {drift.quantity}")
        assert (figure.value, figure.low, figure.high) == tuple(drift.difference)


def test_bits_and_losses_by_hand(evaluated, evaluation, hand):
    generator = load(evaluated)
    family = generator.family
    few = hand.held_out[np.arange(4) * len(hand.held_out) // 4]
    pictures = torch.from_numpy(hand.data.pictures[few])
    condition = Condition(label=torch.from_numpy(hand.labels[few]))
    span = (2e-3, 80.0)
    grid = family.schedule.at(torch.from_numpy(np.geomspace(span[1], span[0], GRID)))
    with torch.no_grad():
        bound = likelihood.elbo(family.denoise, pictures, grid, condition, keys(0, range(4))).total
    assert evaluation.figure("bits/dim (ELBO)").each == tuple(bound.tolist())
    assert evaluation.figure("bits/dim (ELBO)").value == pytest.approx(float(bound.mean()), rel=1e-12)
    two = hand.held_out[np.arange(2) * len(hand.held_out) // 2]
    flow = likelihood.flow_bits_of_bytes(
        family.denoise,
        torch.from_numpy(hand.data.pictures[two]),
        Condition(label=torch.from_numpy(hand.labels[two])),
        keys(0, range(2)),
        span,
        0.1,
        0,
    )
    figure = evaluation.figure("bits/dim (ODE)")
    assert figure.each == tuple(flow.bits.tolist())
    assert (figure.arguments["tolerance"], figure.arguments["evaluations"]) == (0.1, flow.evaluations)
    loss = evaluation.figure("held-out loss")
    assert len(loss.each) == len(hand.held_out)
    assert np.mean([level.held_out for level in evaluation.levels]) == pytest.approx(loss.value, rel=1e-12)
    assert np.mean([level.training for level in evaluation.levels]) == pytest.approx(loss.floor, rel=1e-12)


def test_every_figure_says_where_it_comes_from(evaluation):
    """Its function exists, its interval holds it, and its pictures are named."""
    for figure in evaluation.figures:
        module, _, name = figure.function.rpartition(".")
        if name == "sample":
            module = module.rpartition(".")[0]
            assert hasattr(import_module(module), "Generator")
        else:
            assert callable(getattr(import_module(module), name)), figure.function
        if figure.low is not None:
            assert figure.low <= figure.value <= figure.high, figure.name
        assert figure.samples is not None or figure.reference is not None
        assert figure.about
        assert figure.seconds >= 0
    assert not any("FID" in figure.name or "KID" in figure.name for figure in evaluation.figures)
    assert evaluation.figure("evaluations per picture").value == 4


def test_the_same_options_give_the_same_bits(evaluation, copy, cli):
    before = (copy / "evaluation.json").read_text()
    said = cli("evaluate", "--again", copy / "evaluation.json", "--quiet")
    assert (said.code, said.out.split(":")[0]) == (0, "the same bit for bit"), said
    assert (copy / "evaluation.json").read_text() == before
    assert [f.name for f in evaluation.figures if not f.repeatable] == ["seconds per picture"]


def test_one_bit_of_one_figure_is_noticed(evaluation):
    second = evaluation.figures[1]
    bent = second.model_copy(update={"value": float(np.nextafter(second.value, 1e9))})
    other = evaluation.model_copy(update={"figures": (evaluation.figures[0], bent, *evaluation.figures[2:])})
    (line,) = evaluation.differences(other)
    assert line == f"{second.name}: {second.value!r}, now {bent.value!r}"
    fewer = evaluation.model_copy(update={"figures": evaluation.figures[1:]})
    assert evaluation.differences(fewer) == [
        f"{evaluation.figures[0].name}: {evaluation.figures[0].value!r}, now absent"
    ]
    assert len(fewer.differences(evaluation)) == 1


def test_all_lengths_of_the_averages(copy, cli):
    options = ("--count", 20, "--steps", 2, "--likelihood", 0, "--flow", 0, "--encoder", "dct-bands")
    said = cli("evaluate", copy, "--ema", "all", *options)
    assert said.code == 0, said.err
    shipped, other = read(copy / "evaluation.json"), read(copy / "evaluation-ema0.05.json")
    assert (shipped.asked.ema, other.asked.ema) == (None, 0.05)
    assert shipped.model != other.model
    assert read_samples(copy, other).shape == (20, 1, 8, 8)
    assert "about 0:" in said.err, "what it will take is said beforehand"


def test_a_stopped_evaluation_leaves_the_run_as_it_was(copy, cli, monkeypatch):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    def stop(*_: object) -> Iterator[Figure]:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluating.singles, "drift", stop)
    said = cli("evaluate", copy, "--count", 20, "--steps", 1, "--encoder", "dct-bands", "--quiet")
    assert (said.code, said.err) == (130, "stopped; nothing was written\n")
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_progress_goes_from_nothing_to_all(run):
    seen: list[evaluating.Doing] = []
    prepared = evaluating.prepare(
        run, count=20, steps=2, encoders=("dct-bands",), likelihood=0, flow=0, threads=1
    )
    evaluating.evaluate(prepared, seen.append, keep=False)
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    assert 0 == seen[0].done < seen[-1].done <= 1
    assert seen[-1].left <= seen[0].left
    assert {now.what for now in seen} == {name for name, _ in evaluating.work(prepared)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 5}, "count 5: with reference training this data allows 20 to 898"),
        ({"count": 5000}, "count 5000"),
        ({"encoders": ("random",)}, "encoder 'random': did you mean random-conv?"),
        ({"reference": "elsewhere"}, "reference 'elsewhere': accepted are training, held-out or a folder"),
        ({"ema": 0.3}, "ema 0.3"),
        ({"steps": 0}, "steps 0"),
        ({"data": "nowhere"}, "data nowhere: no such folder"),
    ],
)
def test_errors_are_one_line_that_names_the_option(run, options, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        evaluating.prepare(run, **options)
    assert "\n" not in str(error.value)


def test_other_pictures_are_refused(run, tmp_path):
    from PIL import Image

    for i in range(30):
        Image.new("L", (8, 8), i).save(tmp_path / f"{i}.png")
    with pytest.raises(ValueError, match="its fingerprint is"):
        evaluating.prepare(run, data=tmp_path)


def test_reference_and_twin_of_every_kind(run, tmp_path):
    recipe = evaluating.RunFolder(run).read_recipe()
    data = sets.real(recipe, None)
    for side in ("training", "held-out"):
        count = min(sets.most(side, data, recipe), 40)
        chosen = sets.choose(side, count, 3, data, recipe)
        assert len(chosen.reference.pictures) == len(chosen.twin.pictures) == count
        assert chosen.reference.record.fingerprint != chosen.twin.record.fingerprint
    assert sets.which_reference(None, data) == "training"
    assert sets.which_reference(None, data._replace(held_out=data.training[:1000])) == "held-out"


def test_variation_is_the_share_that_must_change():
    assert variation("aab", "abb") == pytest.approx(1 / 3)
    assert variation("aa", "bb") == 1
    assert variation("ab", "bbaa") == 0


def test_shapes_are_read_from_pictures(tmp_path):
    """What the oracle reads of drawn scenes is what their metadata say, and noise is unclear."""
    folder = phosphene.make_data("shapes", out=tmp_path / "s", count=8, size=64, held_out=0.0, progress=False)
    data = prepare(find(folder / "train"))
    rows = [json.loads(line) for line in (folder / "train" / "metadata.jsonl").read_text().splitlines()]
    seen = shapes_seen(np.asarray(data.pictures))
    assert len(seen) == len(rows) == 8
    for row, one in zip(rows, seen, strict=True):
        assert "unclear" not in one.values()
        colours = sorted({thing["colour"] for thing in row["things"]})
        assert one["colour"] == " and ".join(colours)
        assert one["background"] == row["background"]
        assert one["count"] == str(len(row["things"]))
    noise = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    assert "unclear" in shapes_seen(noise)[0].values()


def test_the_usual_count_is_known_for_a_model_that_hears_text():
    assert evaluating.default_count(phosphene.load("shapes", device="cpu"), None) in evaluating.COUNTS
