"""Whether text-to-image shows what it is asked for: `python -m bench.quality.text shapes data/shapes`.

The model is a run or one that is shipped. The set is one that phosphene makes (shapes, faces), and the model
was trained on its train/. Prompts are captions of its other sides, which no picture of the training data has:

    held-out        seen combinations, in words like those of training
    paraphrased     the same pictures, in words that no training caption uses
    withheld        combinations that training never showed, in words like those of training

Shapes are judged by the exact oracle (everything that is said, and each aspect), faces by the shipped reader
of attributes (each that is claimed), beside what the judge makes of the real pictures. With --candidates 4
--ranker CLIP, how often the one of four that the CLIP puts first is right, which is `--best-of 4`; and how
often at least one is: what ranking could reach at most, with a judge that never errs.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

import phosphene
from bench.side_by_side import write
from phosphene.data.made.folder import read_made
from phosphene.evaluation.told import ALL, JUDGES
from phosphene.families import clip
from phosphene.families.clip import Clip
from phosphene.families.generator import Generator
from phosphene.measures.interval import Interval, share
from phosphene.pictures.pixels import to_bytes


class Asked(NamedTuple):
    """Prompts of one kind, and the real pictures that they describe."""

    kind: str
    prompts: list[str]
    real: UInt8[np.ndarray, "n c h w"]


class Measured(NamedTuple):
    """Shares of pictures: right in everything that was asked, in each aspect; what the judge makes of real
    ones; of several candidates the one that was ranked first right, at least one right."""

    kind: str
    of: int
    right: Interval
    aspects: Mapping[str, float]
    real: Interval
    ranked: Interval | None
    any_right: Interval | None

    @property
    def mean(self) -> float:
        """Over aspects."""
        return mean(self.aspects.values())


def asked(folder: Path, most: int, size: int) -> Iterator[Asked]:
    """What is asked, at most so many prompts of a kind, at even distances."""
    for side, kind, field in (
        ("held-out", "held-out", "text"),
        ("held-out", "paraphrased", "paraphrase"),
        ("withheld", "withheld", "text"),
        ("withheld", "withheld, paraphrased", "paraphrase"),
    ):
        place = folder / side
        if not (place / "metadata.jsonl").is_file():
            continue
        rows = [json.loads(line) for line in (place / "metadata.jsonl").read_text("utf-8").splitlines()]
        # Faces keep their withheld pairs in held-out, named in a field.
        groups = [(kind, [row for row in rows if not row.get("withheld")])]
        groups.append((f"{kind}, with a withheld pair", [row for row in rows if row.get("withheld")]))
        for name, group in groups:
            count = min(most, len(group))
            some = [group[i * len(group) // count] for i in range(count)]
            if some:
                yield Asked(name, [row[field] for row in some], pictures(place, some, size))


def pictures(place: Path, rows: list[dict[str, Any]], size: int) -> UInt8[np.ndarray, "n c h w"]:
    """RGB, brought to the model's size."""
    opened = [Image.open(place / row["file_name"]).convert("RGB").resize((size, size)) for row in rows]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in opened])


def measure(
    generator: Generator,
    folder: Path,
    count: int,
    seed: int = 1,
    candidates: int = 1,
    ranker: Clip | None = None,
    **how: Any,
) -> Iterator[Measured]:
    """Each kind of prompt in turn. how: of `Generator.sample`. ValueError for a set without a judge."""
    name = str((read_made(folder) or {}).get("set"))
    if name not in JUDGES:
        raise ValueError(f"{folder}: not a set that is judged ({', '.join(JUDGES)})")
    judge = JUDGES[name]
    for one in asked(folder, count, generator.size):
        of, first, right, alike = len(one.prompts), dict[str, list[bool]](), [], []
        for k in range(candidates):
            made = generator.sample(of, prompt=one.prompts, seed=seed, first=k * of, **how)
            judged = judge(to_bytes(made.values).numpy(), one.prompts)
            first = first or dict(judged)
            right.append(judged[ALL])
            if ranker is not None:
                alike.append(ranker.score(made.values, one.prompts))
        rights, several = np.array(right), candidates > 1  # a row is a candidate
        best = np.argmax(alike, axis=0) if alike else None
        yield Measured(
            one.kind,
            of,
            among(rights[0]),
            {aspect: mean(map(float, each)) for aspect, each in first.items() if aspect != ALL},
            among(judge(one.real, one.prompts)[ALL]),
            among(rights[best, np.arange(of)]) if several and best is not None else None,
            among(np.logical_or.reduce(rights)) if several else None,
        )


def among(right: Sequence[bool] | Bool[np.ndarray, " n"]) -> Interval:
    """The share of those that are right."""
    return share(int(sum(right)), len(right))


def shown(found: Interval | None) -> str:
    """A share with its interval of 95%, in percent."""
    if found is None:
        return "-"
    return f"{100 * found.value:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def table(
    generator: Generator,
    folder: Path,
    count: int,
    name: str,
    seed: int = 1,
    candidates: int = 1,
    ranker: Clip | None = None,
    **how: Any,
) -> dict[str, Measured]:
    """What is measured by the kind of prompt, also kept in bench/results."""
    found, rows, aspects = dict[str, Measured](), list[list[object]](), list[str]()
    for one in measure(generator, folder, count, seed, candidates, ranker, **how):
        found[one.kind] = one
        shares = [shown(one.ranked), shown(one.any_right), shown(one.real)]
        rows.append([one.kind, one.of, shown(one.right), f"{100 * one.mean:.1f}", *shares])
        each = ", ".join(f"{aspect} {100 * value:.1f}" for aspect, value in one.aspects.items())
        aspects.append(f"{one.kind}: {each}")
        print(rows[-1], flush=True)
    defaults = generator.defaults
    write(
        name,
        f"Text to image: {(read_made(folder) or {})['set']} at {generator.size} pixels",
        {
            "prompts of a kind": count,
            "seed": seed,
            "guidance": how.get("guidance") or defaults.guidance,
            "steps": how.get("steps") or defaults.steps,
            "solver": defaults.solver,
            "model": generator.model.fingerprint[:16],
            "ranker": "none" if ranker is None else ranker.fingerprint[:16],
        },
        [
            "prompts",
            "pictures",
            "all right, %",
            "mean over aspects, %",
            f"best of {candidates} by the CLIP, %",
            f"one of {candidates}, %",
            "real pictures, %",
        ],
        rows,
        ["In brackets: 95% intervals.", *aspects],
        device=generator.device.type,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("set", type=Path)
    parser.add_argument("-n", "--count", type=int, default=500, help="prompts of a kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--candidates", type=int, default=1)
    parser.add_argument("--ranker", help="a CLIP that chooses among the candidates")
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    generator = phosphene.load(options.run, options.device)
    ranker = None if options.ranker is None else clip.load(options.ranker, options.device)
    how = {"guidance": options.guidance, "steps": options.steps, "batch": options.batch}
    asking = (options.seed, options.candidates, ranker)
    table(generator, options.set, options.count, f"text_{Path(options.run).name}", *asking, **how)


if __name__ == "__main__":
    main()
