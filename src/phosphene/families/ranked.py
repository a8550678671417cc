"""The best of several: candidates are made, a CLIP ranks them by what was asked for, one of each is kept.

What has ranked cannot score: its own errors are what it has picked. So another encoder scores, if one is
given, the kept pictures and all candidates; or nobody does.

Picture i is the best of those numbered i best_of to (i + 1) best_of - 1: whatever is made beside it. Its file
says its own number, by which it can be made again without the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from phosphene.families.clip import Clip, opened
from phosphene.families.sampled import Sampled
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.store import shipped


@dataclass(frozen=True)
class Ranking:
    """best_of: candidates a picture. scorer: another encoder, or None.

    Raises ValueError for a scorer that is the ranker.
    """

    ranker: Clip
    best_of: int
    scorer: Clip | None = None

    def __post_init__(self) -> None:
        if self.best_of < 2:
            raise ValueError(f"best_of {self.best_of}: give 2 or more candidates")
        if self.scorer is not None and self.scorer.fingerprint == self.ranker.fingerprint:
            raise ValueError(
                f"scorer {self.scorer.folder}: it is the ranker too, so its score would say how well it "
                "agrees with itself; give another"
            )

    def numbers(self, numbers: Sequence[int]) -> list[int]:
        """Of the candidates of these pictures."""
        return [number * self.best_of + k for number in numbers for k in range(self.best_of)]

    def each(self, values: Sequence[Any]) -> list[Any]:
        """A picture's value for each of its candidates."""
        return [value for value in values for _ in range(self.best_of)]

    def kept(self, made: Sampled, texts: Sequence[str | None]) -> Sampled:
        """The best candidate of each picture. texts: what each picture was asked to show."""
        said, count = self.each(texts), len(texts)
        filed = to_values(to_bytes(made.values))  # as whoever opens the files sees them
        ranks = self.ranker.score(filed, said).reshape(count, self.best_of)
        chosen = ranks.argmax(1) + np.arange(count) * self.best_of
        scores = None if self.scorer is None else self.scorer.score(filed, said)
        told = [self.told(i, int(number), ranks, scores) for i, number in enumerate(chosen)]
        settings = tuple({**made.settings[number], **more} for number, more in zip(chosen, told, strict=True))
        rows = torch.from_numpy(chosen)
        frames = tuple(frame[rows] for frame in made.frames)
        return replace(made, values=made.values[rows], settings=settings, frames=frames)

    def told(
        self,
        picture: int,
        chosen: int,
        ranks: Float32[np.ndarray, "n k"],
        scores: Float32[np.ndarray, " nk"] | None,
    ) -> dict[str, Any]:
        """What a picture's file says of how it was chosen."""
        said: dict[str, Any] = {
            "best_of": self.best_of,
            "ranker": str(self.ranker.folder),
            "ranker_model": self.ranker.fingerprint,
            "ranked": [round(float(value), 6) for value in ranks[picture]],
        }
        if self.scorer is not None and scores is not None:
            own = scores[picture * self.best_of : (picture + 1) * self.best_of]
            said |= {
                "scorer": str(self.scorer.folder),
                "scorer_model": self.scorer.fingerprint,
                "score": round(float(scores[chosen]), 6),
                "score_of_candidates": round(float(own.mean()), 6),
            }
        return said


def ranking(
    best_of: int | None,
    ranker: Clip | Path | str | None,
    scorer: Clip | Path | str | None,
    texts: Sequence[str | None],
    device: str,
    model: Path,
) -> Ranking | None:
    """What is asked of ranking; None for nothing. texts: what pictures are asked to show. model: the folder
    of the one that makes them, whose own ranker serves where none is given.

    Raises ValueError where one is given without the other, for pictures without a prompt, and for prompts
    that a CLIP does not take: before any picture is made.
    """
    if best_of is None and ranker is None and scorer is None:
        return None
    if best_of is None:
        what = "ranker" if scorer is None else "scorer"
        raise ValueError(f"{what}: give best_of too, the number of candidates a picture")
    ranker = usual(model) if ranker is None else ranker
    if ranker is None:
        raise ValueError(
            f"best_of {best_of}: give ranker too, the CLIP that chooses among them: a run of the recipe "
            "clip, or a folder of transformers with a CLIP or SigLIP"
        )
    if any(text is None for text in texts):
        raise ValueError(
            f"best_of {best_of}: candidates are ranked by their prompt; give a prompt for each picture"
        )
    asked = Ranking(opened(ranker, device), best_of, None if scorer is None else opened(scorer, device))
    for clip in (asked.ranker, asked.scorer):
        if clip is not None:
            clip.embed_texts(list(dict.fromkeys(text for text in texts if text is not None)), "prompt")
    return asked


def usual(model: Path) -> str | None:
    """The CLIP that comes with a shipped model to choose among its candidates."""
    name = shipped.named(model)
    return None if name is None else shipped.about(name).ranker


def said_to_clip(made: Sampled, texts: Sequence[str | None]) -> Sampled:
    """Pictures whose files say what was asked of a CLIP and not of the model, which hears nothing."""
    told = zip(made.settings, texts, strict=True)
    return replace(made, settings=tuple({**one, "clip_prompt": text} for one, text in told))


def words(made: Sampled) -> list[str]:
    """Which encoder ranked, which scored, and what came of it, in lines."""
    first = made.settings[0]
    ranked = np.array([one["ranked"] for one in made.settings])
    lines = [
        f"best of {first['best_of']} by {first['ranker']} ({first['ranker_model'][:12]}), similarity "
        f"{ranked.max(1).mean():.3f} where candidates have {ranked.mean():.3f}: what has chosen is no score"
    ]
    if "scorer" in first:
        score = np.mean([one["score"] for one in made.settings])
        usual = np.mean([one["score_of_candidates"] for one in made.settings])
        lines.append(
            f"scored by {first['scorer']} ({first['scorer_model'][:12]}): {score:.3f}, candidates {usual:.3f}"
        )
    return lines
