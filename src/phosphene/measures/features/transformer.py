"""DINOv2 and CLIP vision encoders from folders that `transformers` reads (extra: pip install
"phosphene[encoders]").

FD-DINOv2 (Stein 2023): the class token of DINOv2 ViT-L/14 after the last norm, of pictures at 224. CMMD
(Jayasumana 2024): the projected embedding of CLIP ViT-L/14 at 336. Pictures are resized as Pillow's bicubic
does, with its rounding to bytes, without cropping. Other sizes of either work and do not get these names.
"""

import json
from pathlib import Path

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from phosphene.measures.features.encoder import Encoder, Family, fingerprint

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


class Vision(nn.Module):
    """Resize, normalise, and one of a transformer's answers."""

    def __init__(
        self, model: nn.Module, answer: str, size: int, colours: tuple[tuple[float, ...], tuple[float, ...]]
    ) -> None:
        super().__init__()
        self.model, self.answer, self.size = model, answer, size
        mean, deviation = (torch.tensor(values)[:, None, None] for values in colours)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def forward(self, pictures: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        values = resized(pictures, self.size) / 255
        pixels = (values - self.get_buffer("mean")) / self.get_buffer("deviation")
        return getattr(self.model(pixel_values=pixels), self.answer)


def resized(pictures: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "b c size size"]:
    """Bytes to bytes as Pillow: bicubic, antialiased, across and then down, rounded after each."""
    for shape in ((pictures.shape[2], size), (size, size)):
        if tuple(pictures.shape[2:]) != shape:
            pictures = functional.interpolate(pictures, shape, mode="bicubic", antialias=True)
            pictures = (pictures + 0.5).floor().clamp(0, 255)
    return pictures


def transformer(folder: Path) -> Encoder:
    """The encoder in a folder with config.json and model.safetensors.

    Raises ValueError where transformers is not installed, the folder holds no safetensors, or another model.
    """
    try:
        from transformers import CLIPVisionModelWithProjection, Dinov2Model
    except ModuleNotFoundError:
        raise ValueError(f'{folder}: needs transformers, pip install "phosphene[encoders]"') from None
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: no config.json to read ({error})") from None
    kind = config.get("model_type")
    classes = {"dinov2": Dinov2Model, "clip": CLIPVisionModelWithProjection}
    classes["clip_vision_model"] = CLIPVisionModelWithProjection
    if kind not in classes:
        raise ValueError(f"{folder}: model_type {kind}, accepted are dinov2, clip and clip_vision_model")
    try:
        model = classes[kind].from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except OSError as error:
        raise ValueError(f"{folder}: no model.safetensors to read ({error})") from None
    model = model.eval().requires_grad_(False)
    read = model.config
    shape = (read.hidden_size, read.num_hidden_layers, read.patch_size)
    large = shape == (1024, 24, 14)
    name = f"{read.hidden_size}x{read.num_hidden_layers}-{fingerprint(model.state_dict())}"
    if kind == "dinov2":
        family = Family.DINOV2 if large else Family.OWN
        return Encoder(f"dinov2-{name}", Vision(model, "pooler_output", 224, IMAGENET), family, batch=32)
    family = Family.CLIP if large and read.image_size == 336 else Family.OWN
    return Encoder(f"clip-{name}", Vision(model, "image_embeds", read.image_size, CLIP), family, batch=32)
