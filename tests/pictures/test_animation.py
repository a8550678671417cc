import numpy as np
import pytest
from PIL import Image, ImageSequence
from sklearn.datasets import load_digits, load_sample_image

from phosphene.pictures.animation import write_animation

DIGITS = [
    Image.fromarray((row.reshape(8, 8) * 255 / 16).astype(np.uint8))
    for row in load_digits(return_X_y=True)[0][:5]
]
PHOTO = Image.fromarray(load_sample_image("china.jpg"))
CROPS = [PHOTO.crop((40 * i, 90, 40 * i + 16, 106)) for i in range(4)]


def read(path):
    with Image.open(path) as film:
        frames = [(np.asarray(f.convert("RGB")), f.info["duration"]) for f in ImageSequence.Iterator(film)]
        return [f for f, _ in frames], [t for _, t in frames], film.info.get("loop")


def enlarged(image, times):
    return np.asarray(image.convert("RGB")).repeat(times, 0).repeat(times, 1)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".apng", ".webp", ".GIF"])
@pytest.mark.parametrize("frames", [DIGITS, CROPS], ids=["grey", "colour"])
def test_frames_come_back_exactly(tmp_path, suffix, frames):
    path = tmp_path / f"film{suffix}"
    write_animation(frames, path, ms=50, hold_last_ms=700)
    shown, times, loop = read(path)
    assert times == [50] * (len(frames) - 1) + [700]
    assert loop == 0
    for frame, original in zip(shown, frames, strict=True):
        assert np.array_equal(frame, enlarged(original, 64 // original.width))


def test_equal_frames_take_their_time(tmp_path):
    write_animation([DIGITS[0], DIGITS[0], DIGITS[1]], tmp_path / "film.gif", ms=50, hold_last_ms=700)
    _, times, _ = read(tmp_path / "film.gif")
    assert sum(times) == 800


def test_many_colours_stay_close_in_a_gif(tmp_path):
    frames = [PHOTO.crop((0, 0, 96, 96)), PHOTO.crop((200, 200, 296, 296))]
    write_animation(frames, tmp_path / "film.gif", enlarge=2)
    shown, _, _ = read(tmp_path / "film.gif")
    for frame, original in zip(shown, frames, strict=True):
        assert np.abs(frame.astype(int) - enlarged(original, 2)).mean() < 4


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_transparent_frames_lie_on_a_checkerboard(tmp_path, suffix):
    frames = [Image.new("RGBA", (16, 16), (0, 0, 0, 255 * i)) for i in range(2)]
    write_animation(frames, tmp_path / f"film{suffix}", enlarge=1)
    shown, _, _ = read(tmp_path / f"film{suffix}")
    assert np.array_equal(shown[0][..., 0], np.kron([[204, 255], [255, 204]], np.ones((8, 8))))


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"film.mp4: the suffix must be one of .gif, .png, .apng, .webp"):
        write_animation(DIGITS, tmp_path / "film.mp4")
    with pytest.raises(ValueError, match="no frames"):
        write_animation([], tmp_path / "film.gif")
    with pytest.raises(ValueError, match="give one size"):
        write_animation([DIGITS[0], CROPS[0]], tmp_path / "film.gif")
