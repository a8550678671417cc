"""Is the set large enough for the recipe, and when will the model begin to copy?

The time until a diffusion model copies its training pictures is proportional to their number n, while the
time until it makes good pictures does not depend on n (Favero, Sclocchi, Wyart 2025, 2505.16959; Bonnaire
et al. 2025, 2505.17638). So copying begins when each of the n distinct pictures was seen about E times,

    pictures seen = E n,

and a set is large enough for a run when E n is more than the run sees. The law is measured in both papers;
E is not a constant of nature: it falls with the size of the network and with the learning rate. LOW and HIGH
are the range that is reckoned with here.
"""

import math

from phosphene.data.doctor.result import Enough

LOW, HIGH = 100, 1000
FORMULA = f"copying begins after about E x n pictures seen, n distinct pictures, E from {LOW} to {HIGH:,}"
UNCERTAINTY = (
    "That the time is proportional to n is measured (arXiv:2505.16959, 2505.17638); E is known to a factor "
    "of ten only. It is lower for larger networks, higher learning rates and pictures that are there several "
    "times, higher with dropout and augmentation. The run itself is the better judge: its held-out loss "
    "rises first."
)


def enough(distinct: int, wanted: int) -> Enough:
    """distinct: pictures, each once. wanted: pictures that the run sees, repeats counted."""
    low, high = LOW * distinct, HIGH * distinct
    verdict = "enough" if low >= wanted else "borderline" if high >= wanted else "too few"
    return Enough(verdict, distinct, wanted, low, high, -(-wanted // LOW), FORMULA, UNCERTAINTY)


def middle(enough: Enough) -> int:
    """Pictures seen, in the middle of the range in which copying is expected to begin (geometric)."""
    return round(math.sqrt(enough.low * enough.high))
