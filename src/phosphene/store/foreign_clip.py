"""CLIP and SigLIP from folders of `transformers` (extra: pip install "phosphene[encoders]").

Only JSON and safetensors are read. Pictures are values in [-1, 1], brought to the model's size in a way that
gradients can follow (bicubic), and to the mean and deviation that the folder's preprocessor_config.json says.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from phosphene.store.text_encoder import INSTALL, fingerprint, quiet, shortened

CLASSES = {"clip": "CLIPModel", "siglip": "SiglipModel"}
CLIP_COLOURS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Colours(NamedTuple):
    """Mean and deviation that a channel in [0, 1] is normalised by."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class ForeignClip:
    """size: pixels a side. limit: tokens of a text. sharpness, bias: logits are sharpness x . y + bias."""

    kind: str
    fingerprint: str
    model: Any
    tokenizer: Any
    size: int
    limit: int
    colours: Colours
    sharpness: float
    bias: float
    device: torch.device
    channels: int = 3

    def pictures(self, values: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit vectors, with gradients if the values have one."""
        if values.shape[2:] != (self.size, self.size):
            values = functional.interpolate(values, (self.size, self.size), mode="bicubic", antialias=True)
        mean, deviation = (torch.tensor(side, device=values.device)[:, None, None] for side in self.colours)
        pixels = ((256 * values + 255) / 510 - mean) / deviation
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output
        return functional.normalize(self._projected("visual_projection", pooled), dim=1)

    def texts(self, texts: Sequence[str], field: str = "text") -> Float[Tensor, "b d"]:
        """Unit vectors. Raises ValueError for a text that is longer than the model takes."""
        rows = self.tokenizer(list(texts), add_special_tokens=True, verbose=False)["input_ids"]
        for text, row in zip(texts, rows, strict=True):
            if len(row) > self.limit:
                raise ValueError(
                    f"{field} {shortened(text)!r}: {len(row)} tokens; this model takes {self.limit} at most"
                )
        # SigLIP was trained on texts that are padded to one length, and reads the padding too.
        longest = self.limit if self.kind == "siglip" else max(map(len, rows))
        pad = self.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=self.device)
        counts = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        mask = None if self.kind == "siglip" else counts.to(self.device)
        with torch.no_grad():
            pooled = self.model.text_model(input_ids=ids, attention_mask=mask).pooler_output
            return functional.normalize(self._projected("text_projection", pooled), dim=1)

    def _projected(self, name: str, pooled: Tensor) -> Tensor:
        """SigLIP has no projections."""
        projection = getattr(self.model, name, nn.Identity())
        return projection(pooled).float()


def is_foreign(folder: Path) -> bool:
    """Whether a folder holds a model of these kinds, as far as its config.json says."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") in CLASSES


def load(folder: Path, device: torch.device) -> ForeignClip:
    """Reads a folder that `is_foreign`. Raises ValueError without transformers or without safetensors."""
    if find_spec("transformers") is None:
        raise ValueError(f"clip {folder}: needs transformers, {INSTALL}")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    kind, weights = config["model_type"], fingerprint(folder, str(folder), "clip")
    import transformers

    with quiet():
        model: Any = getattr(transformers, CLASSES[kind]).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    model = model.eval().requires_grad_(False).to(device)
    size = model.config.vision_config.image_size
    limit = model.config.text_config.max_position_embeddings
    bias = float(model.logit_bias) if kind == "siglip" else 0.0
    sharpness, colours = float(model.logit_scale.exp()), _colours(folder, kind)
    return ForeignClip(kind, weights, model, tokenizer, size, limit, colours, sharpness, bias, device)


def _colours(folder: Path, kind: str) -> Colours:
    path, usual = folder / "preprocessor_config.json", HALVES if kind == "siglip" else CLIP_COLOURS
    said = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    mean, deviation = said.get("image_mean", usual[0]), said.get("image_std", usual[1])
    return Colours(tuple(map(float, mean)), tuple(map(float, deviation)))
