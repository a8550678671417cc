"""What the benches of emoji and of restoration compare is what they say."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bench.quality import nearest, restoration, upscaling
from bench.quality.editing import grouped, said_of
from bench.quality.restored import sampled
from PIL import Image

from phosphene.diffusion.noise import keys
from phosphene.pictures.pixels import from_pillow, to_bytes, to_values
from phosphene.recipes.tasks import ColouringTask, DenoisingTask, NoTask, SuperResolutionTask
from phosphene.tasks.sights import sight

ROWS = [("cat", None), ("hand", "dark"), ("hand", "light"), ("king", "dark")]


@pytest.fixture
def emoji(tmp_path):
    """Four held-out pictures, each of its own colours."""
    folder = tmp_path / "emoji" / "held-out"
    folder.mkdir(parents=True)
    (tmp_path / "emoji" / "made.json").write_text('{"set": "emoji"}')
    lines = []
    for number, (concept, tone) in enumerate(ROWS):
        pixels = np.random.default_rng(number).integers(0, 256, (2, 2, 3), np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(folder / f"{number}.png")
        row = {"file_name": f"{number}.png", "text": f"{number}", "concept": concept, "skin_tone": tone}
        lines.append(json.dumps(row))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return tmp_path / "emoji"


class Answers:
    """Answers the prompt i with the real picture answer[i]."""

    size = 64

    def __init__(self, folder, answers):
        self.folder, self.answers = folder / "held-out", answers

    def sample(self, n, prompt, seed):
        assert len(prompt) == n
        pictures = [Image.open(self.folder / f"{self.answers[int(word)]}.png") for word in prompt]
        return SimpleNamespace(values=from_pillow([one.convert("RGBA") for one in pictures]))


def shares(folder, answers) -> list[float]:
    generator: Any = Answers(folder, answers)
    found = nearest.measure(generator, folder, 4, 1)
    assert found.asked == [0, 1, 2, 3]
    return [share.right.value for share in found.shares.values()]


def test_the_nearest_emoji(emoji):
    assert shares(emoji, [0, 1, 2, 3]) == [1.0, 1.0, 1.0]
    # A hand in another tone has the concept; a king in the tone of a hand that.
    assert shares(emoji, [0, 2, 1, 1]) == [0.25, 0.75, 0.5]
    generator: Any = Answers(emoji, [0, 1, 2, 3])
    guessed = [share.guessed for share in nearest.measure(generator, emoji, 4, 1).shares.values()]
    assert guessed == [0.25, 0.5, 0.5]
    (emoji / "made.json").write_text('{"set": "glyphs"}')
    with pytest.raises(ValueError, match="not a set of emoji"):
        nearest.measure(generator, emoji, 4, 1)


def trained_for(task) -> Any:
    return SimpleNamespace(
        task=SimpleNamespace(sight=sight(task)), model=SimpleNamespace(header=SimpleNamespace(task=task))
    )


@pytest.mark.parametrize("task", [DenoisingTask(), ColouringTask()], ids=lambda task: task.kind)
def test_what_is_restored_is_what_the_task_shows(task):
    own = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), np.uint8)
    shows = sight(task)
    assert shows is not None
    drawn = to_bytes(shows.draw(to_values(torch.from_numpy(own)), keys(2**31, range(3)), 0).picture)
    for image, picture in zip(restoration.shown(trained_for(task), own), drawn.numpy(), strict=True):
        assert np.array_equal(np.asarray(image), np.broadcast_to(picture, (3, 8, 8)).transpose(1, 2, 0))


def test_other_tasks_are_no_restoration():
    with pytest.raises(ValueError, match="trained for none, not for colouring"):
        restoration.shown(trained_for(NoTask()), np.zeros((1, 3, 8, 8), np.uint8))


def test_edits_by_what_is_said_of_the_thing():
    texts = [
        "make the circle blue",
        "remove the red star on the left",
        "make it small",
        "add a red star at the top",
    ]
    assert [said_of(text) for text in texts] == ["shape", "colour and shape and place", "it", "new"]
    assert grouped([True, False, True], ["b", "b", "a"]) == {"a": 100.0, "b": 50.0}


def test_a_sample_and_the_mean_of_several_are_of_different_noise():
    """Picture i of n: numbers i n to i n + n - 1, so that no two pictures share any."""
    asked: list[Any] = []

    class Made(list[str]):
        def mean(self) -> str:
            return f"mean of {len(self)}"

    def ask(i: int, **how: Any) -> Any:
        asked.append((i, how["first"], how["n"], how["seed"]))
        return Made(f"sample {k}" for k in range(how["n"]))

    assert sampled(ask)(3) == "sample 0"
    assert sampled(ask, 4)(3) == "mean of 4"
    assert asked == [(3, 3, 1, 1), (3, 12, 4, 1)]


def test_how_much_larger_is_the_models():
    assert upscaling.factor_of(trained_for(SuperResolutionTask(factor=2))) == 2
    with pytest.raises(ValueError, match="trained for denoising, not for super_resolution"):
        upscaling.factor_of(trained_for(DenoisingTask()))
