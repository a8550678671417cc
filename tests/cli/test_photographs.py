"""The main job on real pictures that nobody prepared: photographs in every state."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_images

import phosphene
from tests.conftest import small


def crops() -> list[Image.Image]:
    """Squares of 96 pixels out of six photographs."""
    photographs = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    photographs += [skimage.data.rocket(), *load_sample_images().images]
    return [
        Image.fromarray(photograph[top : top + 96, left : left + 96])
        for photograph in photographs
        for top in (20, 130)
        for left in (40, 180, 290)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs") / "album"
    (root / "holiday" / "old").mkdir(parents=True)
    (root / "home").mkdir()
    images = crops()
    for i, image in enumerate(images):
        image.save(root / ("home" if i % 2 else "holiday") / f"{i:02}.jpg", quality=92)
    exif = Image.Exif()
    exif[0x0112] = 6
    images[0].save(root / "holiday" / "old" / "turned.jpg", exif=exif)
    images[1].convert("L").save(root / "home" / "grey.png")
    deep = np.asarray(images[2].convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(root / "home" / "deep.png")
    clear = images[3].convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((96, 96)))
    clear.save(root / "home" / "clear.png")
    images[4].save(root / "holiday" / "web.webp")
    images[5].convert("CMYK").save(root / "holiday" / "press.jpg")
    images[6].quantize(16).save(root / "holiday" / "palette.gif", save_all=True, append_images=[images[7]])
    (root / "home" / "again.jpg").write_bytes((root / "home" / "01.jpg").read_bytes())
    (root / "home" / "cut.jpg").write_bytes((root / "home" / "03.jpg").read_bytes()[:900])
    (root / "home" / "empty.png").write_bytes(b"")
    (root / "home" / "words.png").write_text("this is no picture")
    (root / "home" / "05.txt").write_text("a cup of coffee")
    (root / "notes.md").write_text("mine")
    return root


def test_from_an_album_to_new_pictures(folder, cli, tmp_path):
    out = tmp_path / "r"
    words = ["--size", "16", "--images", "96", "--batch", "16", *small("data.flip=true")]
    said = cli("train", folder, "--out", out, *words)
    assert said.code == 0, said.err
    text = " ".join(said.err.split())
    for line in (
        "44 pictures, 16x16 RGBA, 2 classes: holiday, home",
        "3 of 47 could not be read and were left out:",
        "home/cut.jpg: truncated",
        "home/empty.png:",
        "home/words.png: not a picture",
        "1 rotated by EXIF",
        "1 16-bit reduced to 8",
        "1 first of 2 frames",
        "1 are copies of another",
        "captions of 1 of 44 pictures are left aside, as there are labels",
    ):
        assert line in text, (line, text)
    made = phosphene.load(out).sample(4, label="home", steps=4)
    assert [image.mode for image in made] == ["RGBA"] * 4
    assert cli("sample", out, "-n", "4", "--label", "holiday", "--label", "home", "--steps", "3").code == 0
    assert (out / "samples" / "seed-0" / "sheet.png").is_file()
    assert cli("info", out).code == 0


def test_an_album_can_be_kept_grey_or_padded(folder, tmp_path):
    generator = phosphene.train(
        folder,
        out=tmp_path / "grey",
        size=16,
        images=32,
        batch=16,
        settings={"data.channels": "L", "data.fit": "pad", "network.width": 8, "network.blocks": 1},
        progress=False,
    )
    assert generator.channels == 1
    assert [image.mode for image in generator.sample(2, steps=2)] == ["L", "L"]
