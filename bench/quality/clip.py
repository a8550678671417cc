"""What a CLIP knows, and what ranking by it brings: `python -m bench.quality.clip RUN data/shapes`.

The set is one that phosphene makes (shapes, faces); the run was trained on its train/. No picture below was.

    retrieval      held-out pictures among so many captions, and captions among so many pictures, top 1 and 5
    attributes     "a red circle" against the same with every other colour; likewise shapes: which is nearest
    unseen words   the same pictures by their paraphrases, in words that no training caption uses
    ranking        of 8 real pictures, one of which was described, the one that the CLIP puts first: does it
                   show what was said?

With --generator RUN: prompts of held-out captions, the best of 1, 4 and 8 as the CLIP ranks them, and
guidance by it. What judges is the set's exact oracle, never the CLIP: an encoder that chose cannot score.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from bench.quality.text import among, pictures, shown
from bench.side_by_side import write
from phosphene.data.made.folder import read_made
from phosphene.data.made.shapes.scene import COLOURS, SHAPES
from phosphene.evaluation.told import ALL, JUDGES
from phosphene.families import clip as clips
from phosphene.families.clip import Clip
from phosphene.families.generator import load
from phosphene.measures.interval import share
from phosphene.pictures.pixels import to_bytes, to_values

TOP = (1, 5)
AMONG = 8
NEAREST = "captions: text of a picture, top 1"
FIRST = f"the first of {AMONG} real pictures shows what was said"


def rows_of(folder: Path, most: int) -> list[dict[str, Any]]:
    """Held-out pictures, at even distances."""
    lines = (folder / "held-out" / "metadata.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [rows[i * len(rows) // most] for i in range(min(most, len(rows)))]


def retrieved(alike: Float[np.ndarray, "n m"], same: Bool[np.ndarray, "n m"], top: int) -> int:
    """How many rows have one of their own among the nearest."""
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :top]
    return int(np.take_along_axis(same, nearest, 1).any(1).sum())


class Line(NamedTuple):
    """Of so many, how many were right; chance: the share that would be anyway."""

    what: str
    of: int
    right: int
    chance: float

    @property
    def cells(self) -> list[object]:
        """As the table shows it."""
        return [self.what, self.of, shown(share(self.right, self.of)), f"{100 * self.chance:.1f}"]


def known(clip: Clip, vectors: torch.Tensor, texts: list[str], kind: str) -> Iterator[Line]:
    """Retrieval in both directions."""
    words = clip.embed_texts(texts)
    alike = (vectors @ words.T).numpy()
    same = np.array([[one == other for other in texts] for one in texts])
    for way, of, fits in (("text of a picture", alike, same), ("picture of a text", alike.T, same.T)):
        for top in TOP:
            right = retrieved(of, fits, top)
            yield Line(f"{kind}: {way}, top {top}", len(texts), right, top / len(texts))


def attributes(clip: Clip, vectors: torch.Tensor, rows: list[dict[str, Any]]) -> Iterator[Line]:
    """Of pictures of one thing: its colour among all colours and its shape among all shapes, zero-shot."""
    alone = [i for i, row in enumerate(rows) if len(row.get("things", ())) == 1]
    things = [rows[i]["things"][0] for i in alone]
    for what, names in (("colour", list(COLOURS)), ("shape", list(SHAPES))):
        right = 0
        for i, thing in zip(alone, things, strict=True):
            asked = [
                f"a {said['colour']} {said['shape']}" for said in ({**thing, what: name} for name in names)
            ]
            right += names[int((clip.embed_texts(asked) @ vectors[i]).argmax())] == thing[what]
        yield Line(f"{what} of one thing, zero-shot", len(alone), right, 1 / len(names))


def chosen(
    clip: Clip, vectors: torch.Tensor, pixels: np.ndarray, texts: list[str], judge: Any, among: int
) -> Line:
    """What ranking picks of real candidates, by the judge; by chance: how many candidates would be right."""
    count = len(texts)
    others = np.array([[(i + k * (count // among)) % count for k in range(among)] for i in range(count)])
    alike = (vectors @ clip.embed_texts(texts).T).numpy()
    best = others[np.arange(count), alike[others, np.arange(count)[:, None]].argmax(1)]
    right = judge(pixels[best], texts)[ALL]
    usual = judge(pixels[others.reshape(-1)], [text for text in texts for _ in range(among)])[ALL]
    return Line(FIRST, count, sum(right), sum(usual) / len(usual))


def measure(clip: Clip, folder: Path, count: int) -> Iterator[Line]:
    """Of held-out pictures. Raises ValueError for a set that is not judged."""
    name, rows = str((read_made(folder) or {}).get("set")), rows_of(folder, count)
    if name not in JUDGES:
        raise ValueError(f"{folder}: not a set that is judged ({', '.join(JUDGES)})")
    pixels = pictures(folder / "held-out", rows, clip.towers.size)
    vectors = clip.embed_images(to_values(torch.from_numpy(pixels)))
    yield from known(clip, vectors, [row["text"] for row in rows], "captions")
    yield from known(clip, vectors, [row["paraphrase"] for row in rows], "paraphrases")
    if name == "shapes":
        yield from attributes(clip, vectors, rows)
    yield chosen(clip, vectors, pixels, [row["text"] for row in rows], JUDGES[name], AMONG)


def made(
    clip: Clip, options: argparse.Namespace, rows: list[dict[str, Any]], judge: Any
) -> list[list[object]]:
    """Share of pictures that the oracle accepts, by how they were chosen."""
    generator, prompts = load(options.generator, options.device), [row["text"] for row in rows]
    how: dict[str, Any] = {"prompt": prompts, "seed": options.seed, "steps": options.steps}
    found: list[list[object]] = []

    def add(name: str, more: dict[str, Any]) -> None:
        made_now = generator.sample(len(prompts), **how, **more)
        right = judge(to_bytes(made_now.values).numpy(), prompts)[ALL]
        found.append([name, len(right), shown(among(right)), "-"])
        print(found[-1], flush=True)

    add("made, the oracle accepts all", {})
    for count in options.best_of:
        add(f"made, best of {count} by this CLIP", {"best_of": count, "ranker": clip})
    for strength in options.strengths:
        add(f"made, led by this CLIP, strength {strength:g}", {"clip": clip, "clip_strength": strength})
    return found


def table(
    clip: Clip, folder: Path, count: int, name: str, more: Sequence[Sequence[object]] = ()
) -> list[Line]:
    """What is known, also kept in bench/results. more: further rows of the table."""
    lines, title = list(measure(clip, folder, count)), (read_made(folder) or {})["set"]
    write(
        name,
        f"A CLIP of {title} at {clip.towers.size} pixels",
        {"pictures": count, "clip": clip.fingerprint[:16], **trained(clip)},
        ["what", "count", "right, %", "by chance, %"],
        [*(line.cells for line in lines), *more],
        ["In brackets: 95% intervals. Pictures of one caption are all right for it.", *WORDS],
        device=clip.device.type,
    )
    return lines


WORDS = ("What was made is judged by the set's oracle, never by the CLIP that chose or led.",)


def trained(clip: Clip) -> dict[str, Any]:
    """How long, and on how many pictures."""
    origin = clip.towers.model.header.provenance if isinstance(clip.towers, clips.Own) else None
    return {} if origin is None else {"pictures seen in training": origin.images, "seconds": origin.seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("set", type=Path)
    parser.add_argument("-n", type=int, default=256, help="held-out pictures")
    parser.add_argument("--generator", help="a run of text to image on the same set")
    parser.add_argument("--best-of", type=int, nargs="*", default=[4, 8])
    parser.add_argument("--strengths", type=float, nargs="*", default=[50.0, 200.0])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1, help="of what is made")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    clip, more = clips.load(options.run, options.device), list[list[object]]()
    if options.generator:
        judge = JUDGES[str((read_made(options.set) or {}).get("set"))]
        more = made(clip, options, rows_of(options.set, options.n), judge)
    table(clip, options.set, options.n, f"clip_{Path(options.run).name}", more)


if __name__ == "__main__":
    main()
