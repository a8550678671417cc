"""Which parts of training pictures are missing: functions of (seed, picture, step).

    strokes    a line of random walk, thick as a brush          half of the pictures
    box        a rectangle                                      a quarter
    border     all but a rectangle: outpainting                 a quarter

Free-form strokes as in DeepFill (Yu et al. 2019, "Free-form image inpainting with gated convolution").
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion import noise
from phosphene.diffusion.noise import Key

SEGMENTS = 6  # of a stroke
WIDTHS = (0.04, 0.15)  # of a brush's half width, in sides
LENGTHS = (0.1, 0.4)  # of a segment, in sides
BOXES = (0.25, 0.75)  # of a box's side
BORDERS = (0.4, 0.9)  # of the side of what a border leaves
DRAWN = 1 + 4 + 2 + 3 * SEGMENTS  # uniforms: the kind, a rectangle, where a stroke begins, its segments


def known(key: Key, step: int, height: int, width: int) -> Float[Tensor, "b 1 h w"]:
    """1 where a picture is known, 0 where it is missing; something is missing, and something known."""
    drawn = noise.uniform(key, step, (DRAWN,), noise.SIGHT).float()
    kind = drawn[:, 0, None, None]
    stroke, box = strokes(drawn[:, 5:], height, width), boxes(drawn[:, 1:5], BOXES, height, width)
    border = ~boxes(drawn[:, 1:5], BORDERS, height, width)
    missing = torch.where(kind < 0.5, stroke, torch.where(kind < 0.75, box, border))
    return (~missing).float()[:, None]


def between(share: Tensor, ends: tuple[float, float]) -> Tensor:
    """From a uniform share to a value between the ends."""
    return ends[0] + share * (ends[1] - ends[0])


def places(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The middles of pixels in [0, 1]: rows and columns."""
    rows = (torch.arange(height, device=device) + 0.5) / height
    columns = (torch.arange(width, device=device) + 0.5) / width
    return rows[:, None], columns[None]


def boxes(u: Float[Tensor, "b 4"], sides: tuple[float, float], height: int, width: int) -> Tensor:
    """Rectangles wholly inside, their sides between these shares: True inside. (b, h, w)"""
    rows, columns = places(height, width, u.device)
    tall, wide = between(u[:, 0], sides), between(u[:, 1], sides)
    top, left = u[:, 2] * (1 - tall), u[:, 3] * (1 - wide)

    def inside(at: Tensor, begin: Tensor, length: Tensor) -> Tensor:
        return (at >= begin[:, None, None]) & (at < (begin + length)[:, None, None])

    return inside(rows, top, tall) & inside(columns, left, wide)


def strokes(u: Float[Tensor, "b n"], height: int, width: int) -> Tensor:
    """Pixels nearer to a walk's segments than the brush is wide: True there. (b, h, w)"""
    rows, columns = places(height, width, u.device)
    y, x = between(u[:, 0], (0.1, 0.9)), between(u[:, 1], (0.1, 0.9))
    turns = u[:, 2:].reshape(len(u), SEGMENTS, 3)
    # At least as wide as to meet the middle of some pixel.
    brush = between(turns[:, 0, 2], WIDTHS).clamp(min=0.75 / min(height, width))[:, None, None]
    angle = torch.zeros_like(y)
    near = torch.zeros(len(u), height, width, dtype=torch.bool, device=u.device)
    for i in range(SEGMENTS):
        # The first segment goes anywhere, each further one turns by a right angle at most.
        angle = angle + (turns[:, i, 0] - 0.5) * (2 * math.pi if i == 0 else math.pi)
        length = between(turns[:, i, 1], LENGTHS)
        to_y = (y + length * torch.sin(angle)).clamp(0, 1)
        to_x = (x + length * torch.cos(angle)).clamp(0, 1)
        near |= _distance(rows, columns, y, x, to_y, to_x) <= brush
        y, x = to_y, to_x
    return near


def _distance(rows: Tensor, columns: Tensor, y: Tensor, x: Tensor, to_y: Tensor, to_x: Tensor) -> Tensor:
    """Of every pixel to the segment from (y, x), a row of the batch each."""
    y, x, to_y, to_x = (end[:, None, None] for end in (y, x, to_y, to_x))
    along_y, along_x = to_y - y, to_x - x
    square = (along_y**2 + along_x**2).clamp(min=1e-12)
    share = (((rows - y) * along_y + (columns - x) * along_x) / square).clamp(0, 1)
    return torch.hypot(rows - y - share * along_y, columns - x - share * along_x)
