"""The encoders that need no file of the user's, by the name that options take."""

from collections.abc import Callable, Mapping

from phosphene.measures.features.encoder import Encoder
from phosphene.measures.features.fixed import dct_bands, normalised_pixels, pixels, random_convolutions
from phosphene.measures.features.shipped import shipped

ENCODERS: Mapping[str, Callable[[], Encoder]] = {
    "shipped": shipped,
    "random-conv": random_convolutions,
    "dct-bands": dct_bands,
    "pixels": pixels,
    "normalised-pixels": normalised_pixels,
}
