"""Rotary positions on a grid: each pair of channels is turned by an angle that says where its patch lies.

    (a, b) -> (a cos p - b sin p, a sin p + b cos p),   p = place * frequency

Half of the pairs turn with the row, half with the column (Su et al. 2021; axial form: Heo et al. 2024). The
product of two turned vectors depends only on the difference of their places, so that a network may be asked
for sizes it never saw. A turn does not change a vector's length. `kernels.turned` turns.
"""

import torch
from jaxtyping import Float
from torch import Tensor

LONGEST = 100  # the slowest pair turns by one radian in about this many patches; pictures have tens of them


def angles(
    rows: Float[Tensor, " h"], columns: Float[Tensor, " w"], width: int
) -> Float[Tensor, "h*w half_width"]:
    """The angle of each of width / 2 pairs at each place of the grid, row by row; width: a multiple of 4."""
    quarter = width // 4
    frequency = LONGEST ** (-torch.arange(quarter, dtype=torch.float32, device=rows.device) / quarter)
    grid = (len(rows), len(columns), quarter)
    by_row = (rows[:, None] * frequency)[:, None, :].expand(grid)
    by_column = (columns[:, None] * frequency)[None, :, :].expand(grid)
    return torch.cat([by_row, by_column], dim=2).flatten(0, 1)
