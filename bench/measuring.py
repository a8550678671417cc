"""What measuring a run takes of its time: `python -m bench.measuring`.

The digits of the demonstration, and 32x32 crops of photographs: the share asked and taken, and what each
figure costs.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.end_to_end import folder_of_pictures
from bench.side_by_side import write
from phosphene.demo import recipe as demo_recipe
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import Recipe, changed
from phosphene.training import checkpoint
from phosphene.training.train import Outcome, start

PHOTOGRAPHS: Mapping[str, Any] = {
    "data.size": 32,
    "data.flip": True,
    "network.width": 16,
    "network.blocks": 1,
    "training.batch": 32,
    "training.images": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=float, default=80.0, help="seconds of the demonstration's run")
    parser.add_argument("--photographs", type=float, default=180.0, help="seconds of the other run")
    arguments = parser.parse_args()
    rows, costs = [], []
    with tempfile.TemporaryDirectory() as place:
        photographs = Path(place) / "photographs"
        photographs.mkdir()
        folder_of_pictures(photographs, 2000)
        values = {"data.source": str(photographs), "training.budget": arguments.photographs}
        runs: Mapping[str, Recipe] = {
            "digits, 8x8": demo_recipe("flow", arguments.digits, 0),
            "photographs, 32x32": changed(RECIPES["flow"], {**PHOTOGRAPHS, **values}),
        }
        for number, (name, recipe) in enumerate(runs.items()):
            outcome = start(recipe, Path(place) / f"run{number}")
            row, kinds = told(name, recipe, outcome)
            rows.append(row)
            costs += [
                [name, kind, f"{1e3 * seconds:.0f} ms", f"{share:.0%}"] for kind, seconds, share in kinds
            ]
            print(row, flush=True)
    columns = ["run", "steps", "budget", "took", "asked", "taken", "measurements", "pictures each"]
    write(
        "measuring",
        "Measuring a run while it trains: the share of its time",
        {"digits": arguments.digits, "photographs": arguments.photographs},
        columns,
        rows,
        [
            "`asked` and `taken` are shares of the time from the first step to the written model, the last "
            "measurement included.",
            "Held-out losses are looked at by every third measurement and by the last, where they take half "
            "of the share at most; features of real pictures are computed once a process.",
            *(f"{name}: {kind} {cost}, {share} of a measurement" for name, kind, cost, share in costs),
        ],
    )


def told(name: str, recipe: Recipe, outcome: Outcome) -> tuple[list[object], list[tuple[str, float, float]]]:
    """A row of the table; and of each kind of piece the seconds a measurement, and its share of one."""
    facts = checkpoint.load(outcome.folder.state).facts["measuring"]
    kinds = facts["kinds"]
    whole = max(sum(kinds.values()), 1e-9)
    summary = outcome.measured
    assert summary is not None
    row = [
        name,
        outcome.step,
        f"{recipe.training.budget:g} s",
        f"{outcome.seconds:.1f} s",
        f"{recipe.training.measure_share:.0%}",
        f"{summary.share:.2%}",
        summary.count,
        facts["pictures"],
    ]
    return row, [(kind, kinds[kind], kinds[kind] / whole) for kind in sorted(kinds, key=lambda k: -kinds[k])]


if __name__ == "__main__":
    main()
