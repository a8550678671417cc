import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_digits

from phosphene.data.doctor import duplicates
from phosphene.data.doctor.duplicates import REACH, Group, Pairs, _joined, groups, hashes, mirrored
from phosphene.data.doctor.survey import Survey, survey
from tests.data.doctor.planted import COPIES, CROPS, encoded, fields, png, resized, source

ALBUM = {f"{i:02}.png": png(image) for i, image in enumerate(CROPS)}
# In nearly plain pictures, rounding may be more than the picture: no promise is made for all of their copies.
CLEAR = [i for i, image in enumerate(CROPS) if np.asarray(image.convert("L")).std() > 8]


def found(files: dict[str, bytes]) -> dict[tuple[str, ...], tuple[bool, tuple[str, ...]]]:
    """Names of each group, whether its bytes are equal, and the names that are mirrored."""
    names = tuple(sorted(files))
    return {
        tuple(names[row] for row in group.rows): (group.same, tuple(names[row] for row in group.mirrored))
        for group in groups(survey(source(files)).rows)
    }


def test_planted_copies_are_found_and_nothing_else():
    planted = {f"{i:02}-{how}.x": make(CROPS[i]) for i, (how, make) in enumerate(COPIES.items())}
    expected = {
        (f"{i:02}-{how}.x", f"{i:02}.png"): (False, (f"{i:02}.png",) if how in ("mirror", "all") else ())
        for i, how in enumerate(COPIES)
    }
    assert found(ALBUM | planted) == expected


@settings(max_examples=15)
@example(22, 1.34375, 1.0, 50, True)  # flat: what JPEG rounds is a quarter of it
@example(33, 0.5, 1.05, 55, False)
@example(5, 1.34375, 0.8656, 63, True)  # hard edges between pixels
@given(
    st.sampled_from(CLEAR),
    st.floats(0.4, 2.5),
    st.floats(0.85, 1.05),
    st.integers(50, 95),
    st.booleans(),
)
def test_any_copy_is_found(which, factor, brightness, quality, flipped):
    copy = ImageEnhance.Brightness(resized(CROPS[which], factor)).enhance(brightness)
    copy = ImageOps.mirror(copy) if flipped else copy
    near = {f"{(which + i) % len(CROPS):02}.png" for i in range(4)}
    files = {name: ALBUM[name] for name in near} | {"copy": encoded(copy, "JPEG", quality=quality)}
    assert found(files) == {
        (f"{which:02}.png", "copy"): (False, ("copy",) if flipped else ()),
    }


def test_equal_bytes_and_chains_of_copies_are_one_group():
    files = dict(ALBUM)
    files |= {"again.png": ALBUM["00.png"], "more.png": ALBUM["00.png"]}
    files |= {"x.jpg": COPIES["all"](CROPS[1]), "y.png": COPIES["half"](CROPS[1]), "z.png": ALBUM["01.png"]}
    assert found(files) == {
        ("00.png", "again.png", "more.png"): (True, ()),
        ("01.png", "x.jpg", "y.png", "z.png"): (False, ("x.jpg",)),
    }


def test_digits_lie_close_and_are_not_copies():
    numbers, _ = load_digits(return_X_y=True)
    pixels = np.floor(numbers.reshape(-1, 8, 8) * 255 / 16 + 0.5).astype(np.uint8)
    files = {f"{i:04}.png": png(Image.fromarray(digit)) for i, digit in enumerate(pixels[:900])}
    files["brighter.png"] = png(Image.fromarray((pixels[7] * 0.95 + 8).astype(np.uint8)))
    assert found(files) == {("0007.png", "brighter.png"): (False, ())}


def test_plain_pictures_are_copies_only_byte_for_byte():
    files = {f"{i:02}.png": png(Image.new("L", (32, 32), i * 5)) for i in range(50)}
    noise = np.random.default_rng(0)
    for i in range(20):
        faint = noise.integers(126, 130, (32, 32)).astype(np.uint8)
        files[f"noise-{i}.png"] = png(Image.fromarray(faint))
    files["same.png"] = files["03.png"]
    assert found(files) == {("03.png", "same.png"): (True, ())}


def test_what_is_alike_in_grey_or_squashed_is_no_copy():
    image = CROPS[0]
    swapped = Image.merge("RGB", [image.getchannel(band) for band in "BGR"])
    files = {
        "a.png": png(image),
        "b.png": png(image.resize((96, 64))),
        "c.png": png(Image.fromarray(np.asarray(swapped))),
        "d.png": png(ImageOps.invert(image)),
        "e.png": png(ImageOps.flip(image)),
        "f.png": png(image.rotate(90)),
    }
    assert found(files) == {}


def test_a_small_change_is_seen():
    image = CROPS[3].copy()
    image.paste((255, 0, 0), (40, 40, 52, 52))
    assert found({"a.png": png(CROPS[3]), "b.png": png(image)}) == {}


def test_a_fine_pattern_is_seen_where_contrast_is_low():
    faint = np.asarray(fields(2, 1, 64)[0]) // 5 + 100
    grain = np.where(np.indices((64, 64)).sum(axis=0) // 4 % 2, 4, -4)[..., None]
    files = {
        "a.png": png(Image.fromarray(faint)),
        "b.png": png(Image.fromarray((faint + grain).astype(np.uint8))),
    }
    assert found(files) == {}
    files["c.jpg"] = encoded(Image.fromarray(faint), "JPEG", quality=90)
    assert found(files) == {("a.png", "c.jpg"): (False, ())}


def test_a_grey_dot_is_seen():
    image = fields(3, 1, 96)[0]
    dotted = np.asarray(image).astype(int)
    dotted[45:51, 45:51] += 60
    dot = Image.fromarray(dotted.clip(0, 255).astype(np.uint8))
    assert found({"a.png": png(image), "b.png": png(dot)}) == {}


def test_the_mirror_image_of_a_mirror_image_is_no_mirror_image():
    first = np.arange(5)
    pairs = Pairs(np.array([0, 1, 2]), np.array([1, 2, 4]), np.array([True, True, False]))
    assert _joined(5, first, pairs) == (Group((0, 1, 2, 4), False, (1,)),)


def surveyed(images: list[Image.Image]) -> Survey:
    return survey(source({f"{i:04}.png": png(image) for i, image in enumerate(images)})).rows


def test_the_hash_of_a_mirror_image_is_known_and_brightness_drops_out():
    rows = surveyed(fields(0, 20))
    assert hashes(rows.grey[:, :, ::-1]) == pytest.approx(mirrored(hashes(rows.grey)), abs=1e-5)
    half = (rows.grey // 2 * 2).astype(np.uint8)
    assert hashes(half // 2 + 60) == pytest.approx(hashes(half), abs=1e-5)
    assert np.linalg.norm(hashes(rows.grey), axis=1) == pytest.approx(1)


def test_candidates_are_those_of_a_search_through_all_pairs(monkeypatch):
    monkeypatch.setattr(duplicates, "ROWS", 16)
    base = fields(1, 20)
    images = [*base, *(ImageEnhance.Contrast(image).enhance(0.9) for image in base[:8])]
    images += [ImageOps.mirror(image) for image in base[5:12]]
    rows = surveyed(images)
    pairs = duplicates._candidates(rows, np.arange(len(images)), lambda _done, _total: None)
    hash_ = hashes(rows.grey)
    for flipped, asked in ((False, hash_), (True, mirrored(hash_))):
        close = np.linalg.norm(asked[:, None] - hash_[None], axis=-1) <= REACH
        expected = {(int(a), int(b)) for a, b in zip(*np.nonzero(close), strict=True) if a < b}
        some = pairs.mirrored == flipped
        assert set(zip(pairs.a[some].tolist(), pairs.b[some].tolist(), strict=True)) == expected
        assert len(expected) >= 7


def test_a_set_of_nearly_equal_pictures_is_one_group():
    image = CROPS[0]
    noise = np.random.default_rng(0)
    files = {}
    for i in range(60):
        grain = noise.integers(-2, 3, (96, 96, 3))
        files[f"{i:02}.png"] = png(Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8)))
    (group,) = found(files)
    assert len(group) == 60


def test_sources_of_one_or_no_usable_picture():
    assert groups(survey(source({"a.png": ALBUM["00.png"]})).rows) == ()
    assert groups(survey(source({"a.png": b""})).rows) == ()
