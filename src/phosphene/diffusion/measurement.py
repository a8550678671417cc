"""Measurements: what is known of a picture, y = A x0 + tau n, with A linear.

    mask           some of its pixels       A keeps or blackens each: its singular values are 1 and 0
    downsampling   a smaller picture        A = I (x) R (x) W: the antialiased resize of rows and columns
    blur           a blurred one            A = I (x) R (x) W: weighted means of neighbours
    grey           one channel of three     A = C (x) I (x) I: luma

All but the mask act on channels, rows and columns one after the other, so that three small singular value
decompositions are that of the whole: A = U s V', its values the products of theirs.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion.level import like

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's mode L
ZERO = 1e-10  # a squared singular value below this share of the largest counts as 0


def luma(values: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Of pictures in RGB."""
    return torch.einsum("c,bchw->bhw", torch.tensor(LUMA).to(values), values)[:, None]


@runtime_checkable
class Measurement(Protocol):
    """A linear map of pictures, exactly."""

    def apply(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """A x."""
        ...

    def adjoint(self, y: Float[Tensor, "b c2 h2 w2"]) -> Float[Tensor, "b c h w"]:
        """A' y, so that <A x, y> = <x, A' y>."""
        ...

    def fit(
        self, y: Float[Tensor, "b c2 h2 w2"], ridge: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """A' (A A' + ridge I)^+ y: the x of least |A x - y|^2 + ridge |x|^2, a ridge a row.

        None is 0, the pseudo-inverse: of all x with the least |A x - y|, the shortest.
        """
        ...


@dataclass(frozen=True)
class Mask:
    """keep: 1 where a pixel is known, 0 where not. y is as large as the picture, 0 where nothing is known."""

    keep: Float[Tensor, "#c h w"]

    def apply(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.keep.to(x) * x

    def adjoint(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.apply(y)

    def fit(
        self, y: Float[Tensor, "b c h w"], ridge: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        known = self.apply(y)
        return known if ridge is None else known / (1 + like(ridge, y))


@dataclass(frozen=True)
class Separable:
    """A = C (x) R (x) W: a matrix (out, in) for each of channels, rows and columns."""

    channels: Float[Tensor, "c2 c"]
    rows: Float[Tensor, "h2 h"]
    columns: Float[Tensor, "w2 w"]

    def apply(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return along(x, self.channels, self.rows, self.columns)

    def adjoint(self, y: Float[Tensor, "b c2 h2 w2"]) -> Float[Tensor, "b c h w"]:
        return along(y, self.channels.mT, self.rows.mT, self.columns.mT)

    def fit(
        self, y: Float[Tensor, "b c2 h2 w2"], ridge: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        u, s, v = self._decomposed
        s = s.to(y)
        square = s**2 if ridge is None else s**2 + like(ridge, y)
        share = torch.where(s**2 > ZERO * (s**2).max(), s / square, 0)
        return along(share * along(y, *(each.mT for each in u)), *v)

    @cached_property
    def _decomposed(self) -> tuple[tuple[Tensor, ...], Tensor, tuple[Tensor, ...]]:
        """U and V of each axis, and the singular values of the whole, shaped like y."""
        with torch.inference_mode(False):  # it may be kept from sampling for training
            u, s, vh = zip(
                *(
                    torch.linalg.svd(matrix, full_matrices=False)
                    for matrix in (self.channels, self.rows, self.columns)
                ),
                strict=True,
            )
            whole = s[0][:, None, None] * s[1][:, None] * s[2]
        return u, whole, tuple(each.mT for each in vh)


def along(x: Float[Tensor, "b c h w"], channels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """x with a matrix applied along each axis."""
    x = rows.to(x) @ x @ columns.to(x).mT
    return torch.einsum("dc,bchw->bdhw", channels.to(x), x)


def _same(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)


def downsampling(channels: int, height: int, width: int, factor: int) -> Separable:
    """The antialiased bicubic resize to 1 / factor, borders and all: torch's, applied to the unit vectors.

    Raises ValueError for a factor that does not divide the sides.
    """
    if factor < 1 or height % factor or width % factor:
        raise ValueError(f"factor {factor}: give a whole number that divides {height} and {width}")

    def matrix(size: int) -> Tensor:
        units = _same(size)[None, None]
        return functional.interpolate(units, (size // factor, size), mode="bicubic", antialias=True)[0, 0]

    return Separable(_same(channels), matrix(height), matrix(width))


def blur(channels: int, height: int, width: int, deviation: float) -> Separable:
    """A Gaussian of this deviation in pixels, cut off at three; beyond its edges the picture is mirrored.

    Raises ValueError for a deviation that is not above 0.
    """
    if not 0 < deviation < math.inf:
        raise ValueError(f"deviation {deviation}: give pixels, above 0")

    def matrix(size: int) -> Tensor:
        radius = min(math.ceil(3 * deviation), size - 1)
        at = torch.arange(-radius, radius + 1, dtype=torch.float64)
        weight = torch.softmax(-(at**2) / (2 * deviation**2), 0)
        wide = functional.pad(_same(size)[:, None], (radius, radius), mode="reflect")
        return functional.conv1d(wide, weight[None, None])[:, 0].mT

    return Separable(_same(channels), matrix(height), matrix(width))


def grey(height: int, width: int) -> Separable:
    """Luma, of pictures in RGB."""
    return Separable(torch.tensor([LUMA], dtype=torch.float64), _same(height), _same(width))
