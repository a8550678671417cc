"""What a CLIP is asked: similarity, ranking, search, guidance; ours and those of transformers."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene
from phosphene.diffusion import exact
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.guidance import towards
from phosphene.diffusion.level import Level
from phosphene.families import ranked
from phosphene.families.clip import Clip, coloured, load
from phosphene.families.generator import load as load_generator
from phosphene.networks.build import build
from phosphene.networks.clip import ClipConfig, ClipNetwork
from phosphene.networks.unet import UNetConfig
from phosphene.pictures.pixels import from_pillow, to_bytes, to_values
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store import model, shipped
from phosphene.store.clip import ClipHeader
from phosphene.store.text_encoder import find
from tests import encoders
from tests.networks.perturbed import perturbed

CPU = torch.device("cpu")
RED, STAR = "a red circle", "a blue star"


COLOURS = {"red": 0, "green": 1, "blue": 2}


class Linear:
    """Towers whose vectors can be computed by hand: the mean of each colour; a text's own colour."""

    size, channels, fingerprint, sharpness, bias = 8, 3, "linear", 10.0, -5.0

    def __init__(self, fingerprint: str = "linear", sign: float = 1.0) -> None:
        self.fingerprint, self.sign, self.seen = fingerprint, sign, 0

    def pictures(self, values: torch.Tensor) -> torch.Tensor:
        self.seen += len(values)
        return self.sign * values.mean((2, 3))

    def texts(self, texts: Any, field: str = "text") -> torch.Tensor:
        return torch.eye(3)[[COLOURS[text] for text in texts]]


def linear(name: str = "linear", sign: float = 1.0) -> Clip:
    return Clip(Linear(name, sign), Path(name), CPU)


def plain(colours: list[tuple[float, float, float]]) -> torch.Tensor:
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, 8, 8)


FEW = plain([(0.1, 0.5, 0.2), (0.9, -0.5, 0.2), (0.3, 0.5, 0.4), (0.9, 0.0, -1.0)])


def test_scores_ranks_and_logits_by_hand():
    clip = linear()
    np.testing.assert_allclose(
        clip.score(FEW, ["red", "green", "blue", "red"]), [0.1, -0.5, 0.4, 0.9], rtol=1e-6
    )
    order = clip.rank(FEW, "red")
    assert order.order.tolist() == [1, 3, 2, 0]  # equal ones in order
    np.testing.assert_allclose(order.similarities, [0.1, 0.9, 0.3, 0.9], rtol=1e-6)
    expected = 10 * FEW.mean((2, 3))[:, [2, 0]] - 5
    torch.testing.assert_close(clip.logits(FEW, ["blue", "red"]), expected)
    with pytest.raises(ValueError, match="texts: 2 for 4 pictures"):
        clip.score(FEW, ["red", "green"])


def test_a_picture_of_pillow_is_seen_as_its_file_is():
    grey = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    expected = torch.full((1, 3), float(to_values(torch.tensor(128, dtype=torch.uint8))))
    torch.testing.assert_close(linear().embed_images([grey]), expected)


def test_colours_become_what_a_model_takes():
    grey = torch.full((1, 1, 2, 2), 0.25)
    assert torch.equal(coloured(grey, 3), grey.expand(-1, 3, -1, -1))
    white = 255 / 256
    half = torch.tensor([0.5, 0.5, -0.5, -1 / 256]).reshape(1, 4, 1, 1)  # alpha 127 / 255
    share = 127 / 255
    expected = torch.tensor([0.5, 0.5, -0.5]) * share + (1 - share) * white
    torch.testing.assert_close(coloured(half, 3).flatten(), expected)
    rgb = torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(coloured(rgb, 1).flatten(), torch.tensor([0.299 - 0.114]))
    assert coloured(rgb, 4).flatten().tolist() == [1, 0, -1, pytest.approx(white)]
    seen = from_pillow([Image.new("RGBA", (2, 2), (0, 0, 0, 0))])
    torch.testing.assert_close(coloured(seen, 3), torch.full((1, 3, 2, 2), white))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, red in enumerate((40, 250, 90, 200)):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (20, 16), (red, 0, 128)).save(tmp_path / "pictures" / f"{i}.png")
    return tmp_path / "pictures"


def test_search_finds_in_order_and_looks_at_pictures_once(folder: Path):
    clip = linear("once")
    found = clip.search(folder, "red", n=3)
    assert [one.name for one in found] == ["1.png", "3.png", "2.png"]
    assert [one.similarity for one in found] == pytest.approx(
        [(2 * red - 255) / 256 for red in (250, 200, 90)]
    )
    assert isinstance(clip.towers, Linear)
    assert clip.towers.seen == 4
    assert [one.name for one in clip.search(folder, "blue")] == ["0.png", "1.png", "2.png", "3.png"]
    assert clip.towers.seen == 4
    Image.new("RGB", (8, 8), (255, 0, 0)).save(folder / "4.png")  # another picture, another set
    assert clip.search(folder, "red", n=1)[0].name == "4.png"
    other = linear("other", -1.0)  # other weights, other vectors
    assert other.search(folder, "red", n=1)[0].name == "0.png"


# A generator that hears nothing.
CONFIG = UNetConfig(3, 3, widths=(8, 8), attention=(False, False), blocks=1, head_width=4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("models") / "model"
    header = model.Header(
        diffusion=DiffusionSettings(), sampling=SamplingSettings(steps=4), size=8, channels=3, ema=(0.1,)
    )
    model.save(out, header, CONFIG, perturbed(build(CONFIG)).state_dict(), "card")
    return out


def test_the_best_of_several_is_kept_and_can_be_made_again(place: Path, tmp_path: Path):
    asked, clip, scorer = load_generator(place, "cpu"), linear(), linear("scorer", -1.0)
    made = asked.sample(
        3, seed=5, first=2, prompt=["red", "blue", "red"], best_of=4, ranker=clip, scorer=scorer
    )
    everything = asked.sample(12, seed=5, first=8)
    means = to_values(to_bytes(everything.values)).mean((2, 3)).reshape(3, 4, 3)  # as files have them
    for i, colour in enumerate((0, 2, 0)):
        best = int(means[i, :, colour].argmax())
        said = made.settings[i]
        assert said["picture"] == 8 + 4 * i + best
        torch.testing.assert_close(made.values[i], everything.values[4 * i + best])
        assert said["ranked"] == pytest.approx(means[i, :, colour].tolist(), abs=1e-5)
        assert said["score"] == pytest.approx(-float(means[i, best, colour]), abs=1e-5)
        assert said["score_of_candidates"] == pytest.approx(-float(means[i, :, colour].mean()), abs=1e-5)
        assert (said["ranker_model"], said["scorer_model"]) == ("linear", "scorer")
    made.save(tmp_path)
    file = next(tmp_path.glob("seed5-*.png"))
    again = asked.sample(like=file)
    assert again.settings[0]["picture"] == int(file.stem.split("-")[1])
    alone = asked.sample(1, seed=5, first=3, prompt="blue", best_of=4, ranker=clip)
    torch.testing.assert_close(alone.values[0], made.values[1])


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"best_of": 4}, "best_of 4: give ranker too, the CLIP that chooses among them: a run of the"),
        ({"ranker": linear()}, "ranker: give best_of too"),
        ({"best_of": 4, "ranker": linear()}, "candidates are ranked by their prompt"),
        ({"best_of": 1, "ranker": linear(), "prompt": "red"}, "best_of 1: give 2 or more"),
        (
            {"best_of": 4, "ranker": linear(), "scorer": linear(), "prompt": "red"},
            "scorer linear: it is the ranker too",
        ),
        ({"clip": linear()}, "clip: it leads towards a prompt; give one"),
        ({"clip_strength": 3.0}, "clip_strength 3.0: of a CLIP that guides; give clip too"),
        (
            {"clip": linear(), "prompt": "red", "clip_strength": float("inf")},
            "clip_strength inf: give a number",
        ),
        ({"prompt": "red"}, "this model was trained without captions"),
    ],
)
def test_what_is_asked_by_halves_is_refused(place: Path, wishes: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        load_generator(place, "cpu").sample(1, **wishes)


def test_a_shipped_model_has_its_own_ranker(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path)
    shutil.copytree(place, tmp_path / "painter")
    assert ranked.usual(tmp_path / "painter") is None
    told = shipped.About(about="", licence="", ranker="judge")
    (tmp_path / "painter" / shipped.ABOUT).write_text(shipped.to_json(told))
    assert ranked.usual(tmp_path / "painter") == "judge"
    assert ranked.usual(place) is None
    monkeypatch.setattr(ranked, "opened", lambda ranker, device: {"judge": linear()}[ranker])
    found = load_generator("painter", "cpu").sample(1, prompt="red", best_of=4)
    assert found.settings[0]["ranker_model"] == "linear"


def test_a_prompt_that_no_ranker_takes_is_refused_before_pictures_are_made(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    generator = load_generator(place, "cpu")
    monkeypatch.setattr(type(generator), "onwards", lambda *_: pytest.fail("pictures were made"))
    with pytest.raises(KeyError, match="green"):  # the linear one knows three words
        generator.sample(1, prompt="green ones", best_of=4, ranker=linear())
    with pytest.raises(ValueError, match=r"^prompt '': no words; say"):
        generator.sample(1, prompt="", best_of=4, ranker=linear())


def test_guidance_leads_each_row_towards_its_text(place: Path):
    asked, clip = load_generator(place, "cpu"), linear()
    plain_ones = asked.sample(3, steps=8).values.mean((2, 3))
    led = asked.sample(3, steps=8, clip=clip, clip_strength=20.0, prompt=["red", None, "blue"])
    means = led.values.mean((2, 3))
    assert means[0, 0] > plain_ones[0, 0] + 0.05
    assert means[2, 2] > plain_ones[2, 2] + 0.05
    torch.testing.assert_close(means[1], plain_ones[1], rtol=0, atol=1e-5)
    assert led.settings[0]["clip_model"] == "linear"


def test_similarity_is_exact_guidance_of_gaussian_data():
    """p(x) = N(0, s^2 I) and a linear encoder: the mean moves by strength s^2 grad similarity."""
    s, strength = 0.5, 64.0
    x, level = torch.randn(1, 3, 8, 8), Level(torch.tensor([0.8]), torch.tensor([0.6]))
    liking = linear().liking(["green"])
    plain_one = exact.gaussian(torch.zeros(3, 8, 8), s).denoise
    led = towards(plain_one, liking, torch.tensor([strength]))(x, level, Condition())
    direction = torch.zeros(3, 8, 8)
    direction[1] = 1 / 64
    tilted = exact.gaussian(strength * s**2 * direction, s).denoise(x, level, Condition())
    torch.testing.assert_close(led, tilted)


def test_a_pictures_file_says_how_it_was_led(own: Path, place: Path, tmp_path: Path):
    asked = load_generator(place, "cpu")
    made = asked.sample(2, prompt=[STAR, None], clip=own, clip_strength=50.0)
    made.save(tmp_path)
    again = asked.sample(like=tmp_path / "seed0-000000.png")
    torch.testing.assert_close(again.values[0], made.values[0], rtol=0, atol=1e-5)
    assert not torch.allclose(asked.sample(1).values[0], made.values[0], atol=1e-3)


TOWERS = ClipConfig(3, 8, (8,), encoders.WIDTH, text_width=16, head_width=8, embedding=4)


def towers_of(seed: int) -> ClipNetwork:
    torch.manual_seed(seed)
    return perturbed(ClipNetwork(TOWERS), seed)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of ours with random weights."""
    root = tmp_path_factory.mktemp("own")
    encoders.bert(root / "bert")
    header = ClipHeader(ema=(0.1, 0.05), size=8, channels=3, text=find(str(root / "bert")).header)
    towers = [towers_of(seed).state_dict() for seed in (0, 1)]
    model.save(root / "model", header, TOWERS, towers[0], "card", {0.05: towers[1]})
    return root / "model"


def test_ours_is_shipped_in_float16(own: Path, tmp_path: Path):
    shipped.ship(own, tmp_path / "clip", "recipe", shipped.About(about="a CLIP", licence="CC0"))
    one, other = load(own, "cpu"), load(tmp_path / "clip", "cpu")
    x = to_values(torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8))
    torch.testing.assert_close(other.embed_images(x), one.embed_images(x), rtol=0, atol=5e-3)
    torch.testing.assert_close(other.embed_texts([RED]), one.embed_texts([RED]), rtol=0, atol=5e-3)
    assert not torch.equal(other.embed_images(x), one.embed_images(x))
    assert not (tmp_path / "clip" / "weights-ema0.05.safetensors").exists()


def test_ours_is_loaded_with_its_text_encoder(own: Path):
    clip = phosphene.load(own, "cpu")
    assert isinstance(clip, Clip)
    x = to_values(torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8))
    texts = [RED, STAR, RED]
    states = find(str(own.parent / "bert")).encode(texts)
    network = towers_of(0)
    with torch.no_grad():
        expected = network.pictures(x), network.texts(Condition(tokens=states.states, mask=states.mask))
    torch.testing.assert_close(clip.embed_images(x), expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(clip.embed_texts(texts), expected[1], rtol=0, atol=1e-3)  # float16 states
    logits = float(network.sharpness.detach().exp()) * clip.embed_images(x) @ clip.embed_texts(texts).T
    torch.testing.assert_close(clip.logits(x, texts), logits + network.bias.detach())
    shorter = load(own, "cpu", 0.05)
    torch.testing.assert_close(
        shorter.embed_images(x), towers_of(1).pictures(x).detach(), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match=r"^text ' ': no words; say"):
        clip.embed_texts([" "])
    with pytest.raises(ValueError, match=r"^prompt 'red red.*12 at most"):
        clip.embed_texts(["red " * 20], "prompt")


def test_pictures_of_any_size_and_kind(own: Path):
    clip = load(own, "cpu")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    wide = Image.new("RGB", (24, 8))
    wide.paste(image, (8, 0))  # of which the centre is seen
    vectors = clip.embed_images([image, wide, image.convert("RGBA")])
    torch.testing.assert_close(vectors[1:], vectors[:1].expand(2, -1))
    torch.testing.assert_close(clip.embed_images(from_pillow([image])), vectors[:1])


def test_what_is_damaged_or_something_else_is_named(own: Path, place: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="this model makes pictures"):
        load(place, "cpu")
    with pytest.raises(ValueError, match=r"ema 0\.3"):
        load(own, "cpu", 0.3)
    settings = json.loads((own / "config.json").read_text())
    for change, words in (
        ({"size": 16}, "size 16: the network takes 8"),
        ({"text": {**settings["text"], "width": 7}}, "text.width 7: the network takes 16"),
        ({"colour": 1}, "colour"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**settings, **change}))
        with pytest.raises(ValueError, match=words):
            phosphene.load(tmp_path, "cpu")


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_transformers_own_logits(kind: str, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    theirs = (encoders.whole_clip if kind == "clip" else encoders.siglip)(tmp_path)
    tokens = encoders.tokenizer(tmp_path)
    made = transformers.CLIPImageProcessor if kind == "clip" else transformers.SiglipImageProcessor
    edge = {"shortest_edge": 8} if kind == "clip" else {"height": 8, "width": 8}
    options: dict[str, Any] = {"size": edge} | (
        {"crop_size": {"height": 8, "width": 8}} if kind == "clip" else {}
    )
    processor = made(**options)
    processor.save_pretrained(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    images, texts = [Image.fromarray(each) for each in pixels], [RED, "a big green square and a star"]
    padding: Any = (
        {"padding": "max_length", "max_length": encoders.LIMIT} if kind == "siglip" else {"padding": True}
    )
    told = tokens(texts, return_tensors="pt", **padding)
    if kind == "siglip":
        told = {"input_ids": told["input_ids"]}
    else:
        told = {name: told[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        expected = theirs(**told, pixel_values=processor(images, return_tensors="pt")["pixel_values"])
    clip = phosphene.load(tmp_path, "cpu")
    assert isinstance(clip, Clip)
    torch.testing.assert_close(clip.logits(images, texts), expected.logits_per_image, rtol=1e-4, atol=1e-4)
    assert clip.rank(images, RED).order[0] == int(expected.logits_per_image[:, 0].argmax())
    slope = torch.zeros(1, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(clip.liking([RED])(slope).sum(), slope)
    assert float(gradient.abs().max()) > 0
    with pytest.raises(ValueError, match="this model takes 12 at most"):
        clip.embed_texts(["red " * 20])
    with pytest.raises(ValueError, match="of transformers, of one set of weights"):
        load(tmp_path, "cpu", 0.1)


def test_candidates_and_a_clip_in_a_sheet(own: Path, place: Path):
    asked, ranked = load_generator(place, "cpu"), dict[str, Any](prompt=RED, ranker=str(own))
    made = asked.grid(("best_of", [2, 3]), ("seed", [1, 2]), **ranked)
    for i, (seed, several) in enumerate([(1, 2), (1, 3), (2, 2), (2, 3)]):
        alone = asked.sample(1, seed=seed, best_of=several, **ranked)
        assert torch.equal(made.values[i : i + 1], alone.values)
    led = asked.grid(("clip_strength", [0.0, 50.0]), prompt=RED, clip=str(own))
    for i, strength in enumerate((0.0, 50.0)):
        alone = asked.sample(1, prompt=RED, clip=own, clip_strength=strength)
        assert torch.equal(led.values[i : i + 1], alone.values)
    assert not torch.equal(led.values[0], led.values[1])


def test_the_commands(own: Path, place: Path, folder: Path, cli, tmp_path: Path):
    said = cli("search", folder, STAR, "--clip", own, "-n", "3", "--out", tmp_path / "found.png", "--quiet")
    assert said.code == 0, said.err
    expected = load(own).search(folder, STAR, n=3)
    lines = said.out.splitlines()
    assert [line.split() for line in lines[:3]] == [[f"{one.similarity:.3f}", one.name] for one in expected]
    with Image.open(tmp_path / "found.png") as page:
        assert page.width > 3 * 8
    said = cli("search", folder, STAR, "--clip", place)
    assert (said.code, "this model makes pictures" in said.err) == (2, True)
    words = ("sample", place, "-n", "2", "--prompt", RED, "--best-of", "3", "--ranker", own, "--quiet")
    said = cli(*words, "--out", tmp_path / "out")
    assert said.code == 0, said.err
    assert "best of 3 by" in said.out
    report = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert (report["best_of"], report["scorer"], len(report["pictures"])) == (3, None, 2)
    assert all(len(one["ranked"]) == 3 for one in report["pictures"])
    sheet = ("grid", place, "--prompt", RED, "--ranker", own, "--quiet")
    said = cli(*sheet, "--x", "seed=0,1", "--best-of", "3", "--out", tmp_path / "by one")
    assert (said.code, "best of 3 by" in said.out) == (0, True), said.err
    said = cli(*sheet, "--x", "best_of=2,3", "--out", tmp_path / "by several")
    assert (said.code, "best of" in said.out) == (0, False), said.err
    said = cli(*words, "--scorer", own, "--out", tmp_path / "other")
    assert (said.code, "it is the ranker too" in said.err) == (2, True)
    said = cli("info", own)
    assert "8x8 RGB" in said.out
    led = ("sample", place, "-n", "1", "--prompt", RED, "--clip", own, "--clip-strength", "5", "--quiet")
    assert cli(*led, "--out", tmp_path / "led").code == 0
