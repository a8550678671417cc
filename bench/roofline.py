"""How near the chip each layer runs: `python -m bench.roofline`.

For each kind of convolution of the reference U-Net: the rate of phosphene's, of torch's own in the order in
which it is fastest, and of a matrix product with the same operations, which is what the chip can do.
"""

import argparse
from collections.abc import Callable

import torch
from torch.nn import functional

from bench.side_by_side import take_turns, write
from phosphene.families.device import DTYPES, computing_in
from phosphene.families.precision import choose_precision
from phosphene.kernels.convolution import conv3x3, packer
from phosphene.kernels.library import keep_buffers
from phosphene.networks.build import Repeated
from phosphene.networks.layers import Norm

Convolution = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
SHAPES = [
    (128, 128, 32),
    (256, 128, 32),
    (384, 128, 32),
    (256, 256, 16),
    (512, 256, 16),
    (256, 256, 8),
    (512, 256, 4),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    keep_buffers()
    cpu = torch.device("cpu")
    precision = choose_precision("auto", cpu, Repeated("block", SHAPES[0][0])).name
    kind = DTYPES.get(precision, torch.float32)
    rows, all_turns = [], {}
    for width, out, size in SHAPES:
        x = torch.randn(arguments.batch, width, size, size).contiguous(memory_format=torch.channels_last)
        w = torch.randn(out, width, 3, 3).contiguous(memory_format=torch.channels_last)
        x_leaf, w_leaf = x.clone().requires_grad_(), w.clone().requires_grad_()
        x, w, x_leaf = x.to(kind), w.to(kind), x_leaf.detach().to(kind).requires_grad_()
        pack, above = packer(x, w), torch.randn(arguments.batch, out, size, size).to(kind)
        packed = None if pack is None else pack(w)
        pixels = arguments.batch * size * size
        a, b = torch.randn(pixels, 9 * width).to(kind), torch.randn(9 * width, out).to(kind)

        def backward(function: Convolution) -> None:
            with computing_in(precision, cpu):
                y = function(x_leaf, w_leaf)
            torch.autograd.grad(y, (x_leaf, w_leaf), above)

        def asked(function: Callable[[], object]) -> Callable[[], object]:
            def run() -> None:
                with torch.inference_mode():
                    function()

            return run

        turns = take_turns(
            {
                "phosphene": asked(lambda: conv3x3(x, w, None, packed)),
                "torch": asked(lambda: functional.conv2d(x, w, padding=1)),
                "product": asked(lambda: a @ b),
                "phosphene, trained": lambda: backward(lambda x, w: conv3x3(x, w, None)),
                "torch, trained": lambda: backward(lambda x, w: functional.conv2d(x, w, padding=1)),
            },
            arguments.rounds,
        )
        work = 2 * 9 * width * out * pixels / 1e9
        rate = {name: (3 if "trained" in name else 1) * work / turns.middle(name) for name in turns.seconds}
        all_turns[f"{width} to {out} at {size}"] = turns
        rows.append(
            [
                f"{width} to {out}, {size}x{size}",
                *(f"{rate[name]:.0f}" for name in turns.seconds),
                f"{rate['phosphene'] / rate['product']:.2f}",
                f"{rate['phosphene'] / rate['torch']:.2f}",
                f"{rate['phosphene, trained'] / rate['torch, trained']:.2f}",
            ]
        )
        print(rows[-1], flush=True)
    notes = [
        "Direct-equivalent rates: operations of the plain algorithm over time. Winograd's, in fp32, needs a "
        "quarter of the products, so that it may pass the chip's own rate.",
        "Trained: forward and both gradients, with the weights transformed anew.",
        norm_note(arguments.batch, arguments.rounds, kind),
    ]
    write(
        "roofline",
        "Roofline: 3x3 convolutions of the reference U-Net, layer by layer",
        {"batch": arguments.batch, "rounds": arguments.rounds, "precision": precision},
        [
            "layer",
            "phosphene, GFLOP/s",
            "torch",
            "matrix product",
            "phosphene, trained",
            "torch, trained",
            "of the product's rate",
            "against torch",
            "trained, against torch",
        ],
        rows,
        notes,
        all_turns,
    )


def norm_note(batch: int, rounds: int, kind: torch.dtype) -> str:
    """Group norm and SiLU against torch's two operators and against copying the same bytes."""
    layer = Norm(32, 128)
    x = torch.randn(batch, 128, 32, 32).to(kind).contiguous(memory_format=torch.channels_last)
    target = torch.empty_like(x)
    with torch.inference_mode():
        turns = take_turns(
            {
                "fused": lambda: layer(x, silu=True),
                "torch": lambda: functional.silu(functional.group_norm(x, 32, layer.weight, layer.bias)),
                "copy": lambda: target.copy_(x),
            },
            rounds,
        )
    bytes_moved = 2 * x.numel() * x.element_size() / 1e9
    rates = {name: bytes_moved / turns.middle(name) for name in turns.seconds}
    return (
        f"Group norm and SiLU, {tuple(x.shape)}: {rates['fused']:.1f} GB/s fused, {rates['torch']:.1f} as "
        f"torch's two operators, {rates['copy']:.1f} for a plain copy."
    )


if __name__ == "__main__":
    main()
