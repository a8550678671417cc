"""phosphene: from a folder of pictures to an image generator.

    import phosphene
    generator = phosphene.train("photos/", size=64)
    generator.sample(16, seed=0).save("out/")

Importing is quick: torch is loaded when something is first asked for.
"""

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

from phosphene.version import __version__

if TYPE_CHECKING:
    from phosphene.api import adapt, compare, doctor, evaluate, make_data, report, train, tune
    from phosphene.families.adapting import merge
    from phosphene.families.asked import Asked
    from phosphene.families.cascading import cascade
    from phosphene.families.clip import Clip
    from phosphene.families.generator import Generator
    from phosphene.families.loading import load
    from phosphene.families.sampled import Sampled
    from phosphene.lessons.run import explain
    from phosphene.recipes.presets import RECIPES
    from phosphene.recipes.settings import Recipe
    from phosphene.training.lengths import choose_ema

__all__ = [
    "RECIPES",
    "Asked",
    "Clip",
    "Generator",
    "Recipe",
    "Sampled",
    "__version__",
    "adapt",
    "cascade",
    "choose_ema",
    "compare",
    "doctor",
    "evaluate",
    "explain",
    "load",
    "make_data",
    "merge",
    "report",
    "train",
    "tune",
]

_HOMES = {
    "cascade": "phosphene.families.cascading",
    "choose_ema": "phosphene.training.lengths",
    "adapt": "phosphene.api",
    "make_data": "phosphene.api",
    "merge": "phosphene.families.adapting",
    "train": "phosphene.api",
    "tune": "phosphene.api",
    "compare": "phosphene.api",
    "doctor": "phosphene.api",
    "evaluate": "phosphene.api",
    "report": "phosphene.api",
    "Asked": "phosphene.families.asked",
    "Generator": "phosphene.families.generator",
    "explain": "phosphene.lessons.run",
    "load": "phosphene.families.loading",
    "Clip": "phosphene.families.clip",
    "Sampled": "phosphene.families.sampled",
    "RECIPES": "phosphene.recipes.presets",
    "Recipe": "phosphene.recipes.settings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'phosphene' has no attribute {name!r}")
    collects = gc.isenabled()
    gc.disable()  # torch makes a million objects that all stay: not searched for unused ones meanwhile
    try:
        return getattr(import_module(_HOMES[name]), name)
    finally:
        if collects:
            gc.enable()


def __dir__() -> list[str]:
    return __all__
