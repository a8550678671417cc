"""Tiles of photographs: halving, texture and corners by hand, and real photographs bundled with a library."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage import data as bundled

from phosphene.data.made.folder import read_made
from phosphene.data.made.gathered.photos import PHOTOGRAPHS, TEXTURE, halved, texture, textured
from phosphene.data.made.sets import make_set
from phosphene.pictures.opening import open_picture


def test_halving_is_the_rounded_mean_of_four():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    small = halved(Image.fromarray(pixels))
    assert small.shape == (3, 4, 3)
    for y in range(3):
        for x in range(4):
            four = pixels[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(float).mean(axis=(0, 1))
            assert small[y, x].tolist() == np.floor(four + 0.5).tolist()


def test_texture_by_hand():
    flat = np.full((8, 8, 3), 90)
    board = np.indices((8, 8)).sum(axis=0)[..., None] % 2 * np.array([10, 10, 10])
    stripes = np.broadcast_to((np.arange(8) % 2 * 10)[None, :, None], (8, 8, 3))
    red = board * np.array([1, 0, 0])
    figures = texture(np.stack([flat, board, stripes, red]).astype(np.uint8))
    assert figures == pytest.approx([0, 10, 10 / np.sqrt(2), 2.99], abs=1e-5)
    wide = np.zeros((1, 2, 4, 3), np.uint8)
    wide[0, :, 1] = 10  # across: 4 of 6 differences, down: none of 4
    assert texture(wide) == pytest.approx([np.sqrt(400 / 10)])


def test_tiles_are_a_grid_in_the_middle_without_the_flat_ones():
    pixels = np.zeros((30, 47, 3), np.uint8)
    board = (np.indices((10, 10)).sum(axis=0) % 2 * 200).astype(np.uint8)[..., None]
    pixels[0:10, 13:23] = pixels[20:30, 33:43] = board  # two tiles of the grid that begins at x = 3
    assert textured(pixels, 10) == [(13, 0, 200.0), (33, 20, 200.0)]
    assert textured(pixels[:9], 10) == []
    assert textured(pixels[:, :9], 10) == []
    faint = pixels // 200 * int(TEXTURE)
    assert [(x, y) for x, y, _ in textured(faint, 10)] == [(13, 0), (33, 20)]
    assert textured(pixels // 200 * (int(TEXTURE) - 1), 10) == []


def test_the_set_cuts_real_photographs_and_holds_out_whole_ones(tmp_path):
    given = tmp_path / "given"
    (given / "Path/contents/images").mkdir(parents=True)
    photos = {
        "astronaut.png": bundled.astronaut(),
        "cat.png": bundled.chelsea(),
        "coffee.png": bundled.coffee(),
    }
    for name, pixels in photos.items():
        Image.fromarray(pixels).save(given / name)
    (given / "copy.png").symlink_to(given / "cat.png")
    (given / "no-picture.jpg").write_text("words")
    Image.fromarray(bundled.rocket()).save(given / "Path/contents/images/640x427.png")
    Image.fromarray(bundled.rocket()[:64, :64]).save(given / "Path/contents/images/64x64.png")
    photos["Path"] = bundled.rocket()
    out = make_set("photos", out=tmp_path / "out", size=64, folders=[given], held_out=0.3)
    small = {name: halved(Image.fromarray(pixels)) for name, pixels in photos.items()}
    sides = {}
    for side in ("train", "held-out"):
        for line in (out / side / "metadata.jsonl").read_text().splitlines():
            row = json.loads(line)
            expected = small[row["photo"]][row["y"] : row["y"] + 64, row["x"] : row["x"] + 64]
            pixels = np.asarray(open_picture(out / side / row["file_name"]).image)
            assert (pixels == expected).all()
            assert row["texture"] == pytest.approx(float(texture(pixels[None])[0]), abs=0.005)
            assert row["texture"] >= TEXTURE
            sides.setdefault(row["photo"], set()).add(side)
    assert set(sides) == set(photos)
    assert all(len(met) == 1 for met in sides.values()), "a photograph is on one side"
    assert {"train", "held-out"} == set.union(*sides.values())
    made = read_made(out)
    assert made is not None
    assert (
        made["tiles"]
        == sum(made["sides"].values())
        == sum(len(textured(pixels, 64)) for pixels in small.values())
    )
    assert "| cat.png |" in (out / "README.md").read_text()
    few = make_set("photos", out=tmp_path / "few", count=8, size=64, folders=[given], held_out=0.3)
    for path in few.rglob("*.png"):
        assert path.read_bytes() == (out / path.relative_to(few)).read_bytes()


def test_nothing_with_texture_is_an_error(tmp_path):
    Image.new("RGB", (300, 300), "blue").save(tmp_path / "sky.png")
    with pytest.raises(ValueError, match=r"^photos from .*: no tile of 64 pixels with texture in 1$"):
        make_set("photos", out=tmp_path / "out", folders=[tmp_path])


def test_every_photograph_has_a_name_of_its_own():
    names = [name for package in PHOTOGRAPHS.values() for name in package]
    assert len(names) == len(set(names)) == 36
