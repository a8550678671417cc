"""What a text encoder knows of words that training never used: `python -m bench.quality.words data/shapes`.

A model that hears a frozen encoder cannot understand more than the encoder's states say. A linear probe
(logistic regression, on the mean state of a word's tokens in its caption) learns from training captions which
colour, shape or size a word means, of all words of training; it is asked for the words of paraphrases, which
training never used. A generator learns from the same captions, and has to be right in every word at once: it
may separate states that a line does not, but what the probe does not find is hardly there to be found.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from bench.quality.text import shown
from bench.side_by_side import write
from phosphene.data.made.shapes.words import OTHER, PLAIN, VARIED, Words
from phosphene.measures.interval import Interval, around
from phosphene.store.text_encoder import MINILM, TextEncoder, find

PENALTIES = (0.001, 0.01, 0.1)
"""Of the probe; the best of them on paraphrases is told: as much as it could be."""


class Said(NamedTuple):
    """A word in a caption: its meaning, and its state in each layer, (layers, d)."""

    word: str
    meaning: str
    states: np.ndarray


def meanings(kind: str, *vocabularies: Words) -> Mapping[str, str]:
    """What each word of a kind (colours, shapes, sizes) means, in singular and plural."""
    found = dict[str, str]()
    for words in vocabularies:
        for meaning, phrases in getattr(words, kind).items():
            for phrase in phrases:
                found |= dict.fromkeys(phrase if isinstance(phrase, tuple) else (phrase,), meaning)
    return found


def said(encoder: TextEncoder, captions: list[str], table: Mapping[str, str]) -> Iterator[Said]:
    """Each of the words that the captions hold."""
    longest_first = "|".join(map(re.escape, sorted(table, key=len, reverse=True)))
    pattern = re.compile(rf"(?<!\w)({longest_first})(?!\w)")
    for caption in captions:
        told = encoder.tokenizer(caption, return_offsets_mapping=True, return_tensors="pt")
        offsets = told.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            states = torch.cat(encoder.model(**told, output_hidden_states=True).hidden_states)
        for match in pattern.finditer(caption):
            first, last = match.span()
            # What the tokenizer adds is nowhere in the text.
            tokens = [i for i, (a, b) in enumerate(offsets) if first <= a < b <= last]
            yield Said(match[0], table[match[0]], states[:, tokens].mean(1).numpy())


def right(trained: list[Said], asked: list[Said], layer: int) -> np.ndarray:
    """Of each word that is asked, whether the probe names its meaning."""
    inputs, others = (np.stack([one.states[layer] for one in words]) for words in (trained, asked))
    mean, deviation = inputs.mean(0), inputs.std(0) + 1e-6
    names, truth = [one.meaning for one in trained], np.array([one.meaning for one in asked])
    found = [
        LogisticRegression(C=penalty, max_iter=300)
        .fit((inputs - mean) / deviation, names)
        .predict((others - mean) / deviation)
        == truth
        for penalty in PENALTIES
    ]
    return max(found, key=np.mean)


def over_words(shares: list[float]) -> Interval:
    """Their mean, with the spread that other words would have."""
    return around(float(np.mean(shares)), float(np.std(shares, ddof=1)) / len(shares) ** 0.5, len(shares) - 1)


def captions(folder: Path, field: str, most: int) -> list[str]:
    lines = (folder / "metadata.jsonl").read_text("utf-8").splitlines()[:most]
    return [json.loads(line)[field] for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--text", default=MINILM, help="the encoder")
    parser.add_argument("-n", "--count", type=int, default=3000, help="captions of training")
    options = parser.parse_args()
    encoder = find(options.text)
    learned = captions(options.set / "train", "text", options.count)
    unseen = captions(options.set / "held-out", "paraphrase", options.count // 3)
    rows, notes = list[list[object]](), list[str]()
    for kind in ("colours", "shapes", "sizes"):
        trained = list(said(encoder, learned, meanings(kind, PLAIN, VARIED)))
        asked = list(said(encoder, unseen, meanings(kind, OTHER)))
        layers = range(len(trained[0].states))
        found = [right(trained, asked, layer) for layer in layers]
        best = max(layers, key=lambda layer: found[layer].mean())
        by_word = {word: [] for word in sorted({one.word for one in asked})}
        for one, hit in zip(asked, found[-1], strict=True):
            by_word[one.word].append(hit)
        shares = {word: float(np.mean(hits)) for word, hits in by_word.items()}
        last, usual = shown(over_words(list(shares.values()))), f"{100 * found[best].mean():.1f} ({best})"
        rows.append([kind, len(shares), last, f"{100 * found[-1].mean():.1f}", usual])
        print(rows[-1], flush=True)
        each = (f"{word} {100 * value:.0f}" for word, value in shares.items())
        notes.append(f"{kind}, last layer, by word: {', '.join(each)}")
    write(
        "words",
        "What a text encoder's states say of words that training never used",
        {"captions of training": options.count, "encoder": f"{options.text} {encoder.fingerprint[:16]}"},
        ["", "words", "last layer, mean over words, %", "as often as captions use them, %", "best layer, %"],
        rows,
        ["In brackets: 95% intervals over words; the number of the layer, 0 for the embeddings.", *notes],
    )


if __name__ == "__main__":
    main()
