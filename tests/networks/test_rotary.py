import torch

from phosphene.kernels.turned import turn
from phosphene.networks.rotary import angles

from .perturbed import normal


def grid(height: int, width: int, down: float = 0, right: float = 0) -> torch.Tensor:
    return angles(torch.arange(height) + float(down), torch.arange(width) + float(right), 8)


def test_products_depend_only_on_the_difference_of_places() -> None:
    q, k = normal(2, 3, 12, 8, seed=1), normal(2, 3, 12, 8, seed=2)

    def products(angle: torch.Tensor) -> torch.Tensor:
        return turn(q, angle) @ turn(k, angle).transpose(2, 3)

    here = products(grid(3, 4))
    torch.testing.assert_close(products(grid(3, 4, down=5, right=-2)), here, rtol=1e-4, atol=1e-4)
    # And they do depend on it: another shape of the same twelve places is another product.
    assert (products(grid(4, 3)) - here).abs().max() > 0.1


def test_turning_is_multiplication_by_unit_complex_numbers() -> None:
    x, angle = normal(2, 3, 12, 8), grid(3, 4)
    expected = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones_like(angle), angle)
    torch.testing.assert_close(turn(x, angle), torch.cat([expected.real, expected.imag], dim=3))


def test_angles_are_place_times_frequency_rows_then_columns() -> None:
    angle = grid(3, 4)
    # Width 8 has two frequencies a direction: 1 and 100^(-1/2). Row 2, column 3 stands at 2 * 4 + 3.
    torch.testing.assert_close(angle[11], torch.tensor([2.0, 0.2, 3.0, 0.3]))
    torch.testing.assert_close(angle[1], torch.tensor([0.0, 0.0, 1.0, 0.1]))
