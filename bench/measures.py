"""What figures cost: `python -m bench.measures`. CPU seconds of one thread, for 1,000 pictures of 32x32 on
each side.

Figures cost by their features' width, so they stand beside three: 48 (DCT bands), 320 (random convolutions)
and 2048 (Inception). Memorisation compares 1,000 made and 1,000 held-out pictures with 10,000 training
pictures.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from bench.side_by_side import write
from phosphene.measures.colour import colour
from phosphene.measures.distances import frechet, frechet_infinity
from phosphene.measures.diversity import diversity
from phosphene.measures.features.encoder import Encoder
from phosphene.measures.features.encoders import ENCODERS
from phosphene.measures.features.inception import Inception
from phosphene.measures.kernel import kernel_distance
from phosphene.measures.manifold import prdc
from phosphene.measures.memorisation import Views, memorisation
from phosphene.measures.sliced import sliced_wasserstein
from phosphene.measures.two_sample import two_sample

WIDTHS = (48, 320, 2048)


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (1000, 3, 32, 32), dtype=np.uint8)
    once = {}
    for make in ENCODERS.values():
        encoder = make()
        once[encoder.name] = seconds(lambda: encoder(pictures))
    inception = Encoder("Inception", Inception().eval().requires_grad_(False), batch=32)
    once["Inception"] = seconds(lambda: inception(pictures[:64])) * 1000 / 64
    once["colour drift"] = seconds(lambda: colour(pictures, pictures))
    columns = [figures(rng, width) for width in WIDTHS]
    rows = [[name, f"{value:.2g}", "", ""] for name, value in once.items()]
    rows += [[name, *(f"{column[name]:.2g}" for column in columns)] for name in columns[0]]
    write(
        "measures",
        "CPU seconds of figures of 1,000 pictures of 32x32 on each side",
        {"threads": 1},
        ["what", *map(str, WIDTHS)],
        rows,
    )


def figures(rng: np.random.Generator, width: int) -> dict[str, float]:
    a, b = rng.normal(size=(2, 1000, width))
    views = Views(a, a + 1)
    training = np.concatenate([b + 0.01 * i for i in range(10)])
    return {
        "Fréchet distance": seconds(lambda: frechet(a, b)),
        "Fréchet distance at infinity, with interval": seconds(lambda: frechet_infinity(a, b)),
        "kernel distance, all pairs, with interval": seconds(lambda: kernel_distance(a, b)),
        "precision, recall, density, coverage": seconds(lambda: prdc(a, b)),
        "sliced Wasserstein": seconds(lambda: sliced_wasserstein(a, b)),
        "two-sample classifier and control": seconds(lambda: two_sample(np.concatenate([a, b]), a + 0.1)),
        "diversity": seconds(lambda: diversity(a, b)),
        "memorisation": seconds(lambda: memorisation(views, training, views)),
    }


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
