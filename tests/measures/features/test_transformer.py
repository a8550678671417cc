"""DINOv2 and CLIP folders: transformers' own answers, Pillow's resize, names by size."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

from phosphene.measures.features.transformer import CLIP, IMAGENET, resized, transformer
from phosphene.measures.names import cmmd_name, frechet_name


def pictures(size, n=2):
    seen = torch.randint(0, 256, (n, 3, size // 4, size // 4), generator=torch.manual_seed(0)).float()
    smooth = torch.nn.functional.interpolate(seen, (size, size), mode="bilinear")
    return smooth.to(torch.uint8)


def by_pillow(seen, size, colours):
    """What the models' own processors do without cropping."""
    mean, deviation = (np.array(values)[:, None, None] for values in colours)
    rows = []
    for picture in seen.numpy():
        image = Image.fromarray(picture.transpose(1, 2, 0)).resize((size, size), Image.Resampling.BICUBIC)
        rows.append((np.asarray(image).transpose(2, 0, 1) / 255 - mean) / deviation)
    return torch.from_numpy(np.stack(rows)).float()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    dino = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    Dinov2Model(dino).save_pretrained(root / "dino")
    clip = CLIPVisionConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=56,
        patch_size=14,
        projection_dim=24,
    )
    CLIPVisionModelWithProjection(clip).save_pretrained(root / "clip")
    return root


@pytest.mark.parametrize("size", [32, 300])
def test_dinov2(folders, size):
    seen = pictures(size)
    model = Dinov2Model.from_pretrained(folders / "dino").eval()
    with torch.no_grad():
        wanted = model(by_pillow(seen, 224, IMAGENET)).last_hidden_state[:, 0]
    encoder = transformer(folders / "dino")
    assert encoder(seen) == pytest.approx(wanted.numpy(), abs=2e-3)
    assert encoder.name.startswith("dinov2-32x2-")
    # Not ViT-L/14: not the figure of the paper.
    assert frechet_name(encoder) == f"FD-{encoder.name}"


def test_clip(folders):
    seen = pictures(40)
    model = CLIPVisionModelWithProjection.from_pretrained(folders / "clip").eval()
    with torch.no_grad():
        wanted = model(by_pillow(seen, 56, CLIP)).image_embeds
    encoder = transformer(folders / "clip")
    assert encoder(seen) == pytest.approx(wanted.numpy(), abs=2e-3)
    with pytest.raises(ValueError, match="CMMD is of CLIP"):
        cmmd_name(encoder)


def test_resized_as_pillow():
    for size in (32, 100, 300):
        seen = pictures(size, 1)
        found = resized(seen.float(), 56).numpy()[0].transpose(1, 2, 0)
        image = Image.fromarray(seen[0].numpy().transpose(1, 2, 0)).resize((56, 56), Image.Resampling.BICUBIC)
        off = np.abs(found - np.asarray(image).astype(float))
        # Pillow's weights have 8 bits less than ours: a value at a half may go the other way.
        assert off.max() <= 1
        assert off.mean() < 0.02


def test_errors(folders, tmp_path):
    with pytest.raises(ValueError, match=r"no config.json to read"):
        transformer(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match="model_type bert, accepted are dinov2, clip"):
        transformer(tmp_path)
    (tmp_path / "config.json").write_text((folders / "dino" / "config.json").read_text())
    with pytest.raises(ValueError, match=r"no model.safetensors to read"):
        transformer(tmp_path)
