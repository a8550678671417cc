"""What a figure is called. The well-known names belong to the well-known encoders and to nothing else.

| | Inception of 2015-12-05 | DINOv2 ViT-L/14 | CLIP ViT-L/14 at 336 | any other encoder |
|---|---|---|---|---|
| Fréchet distance | FID | FD-DINOv2 | FD-<name> | FD-<name> |
| cubic kernel | KID | KD-DINOv2 | KD-<name> | KD-<name> |
| Gaussian kernel, CMMD's | | | CMMD | refused |
"""

from phosphene.measures.features.encoder import Encoder, Family


def frechet_name(encoder: Encoder) -> str:
    """Of distances.frechet."""
    match encoder.family:
        case Family.INCEPTION:
            return "FID"
        case Family.DINOV2:
            return "FD-DINOv2"
        case _:
            return f"FD-{encoder.name}"


def infinity_name(encoder: Encoder) -> str:
    """Of distances.frechet_infinity."""
    name = frechet_name(encoder)
    return name.replace("FID", "FID-infinity") if name == "FID" else name.replace("FD-", "FD-infinity-", 1)


def kernel_name(encoder: Encoder) -> str:
    """Of kernel.kernel_distance."""
    match encoder.family:
        case Family.INCEPTION:
            return "KID"
        case Family.DINOV2:
            return "KD-DINOv2"
        case _:
            return f"KD-{encoder.name}"


def cmmd_name(encoder: Encoder) -> str:
    """Of kernel.cmmd. Raises ValueError for an encoder that is not CLIP's ViT-L/14 at 336."""
    if encoder.family is not Family.CLIP:
        raise ValueError(f"encoder {encoder.name}: CMMD is of CLIP ViT-L/14 at 336 pixels alone")
    return "CMMD"


def named(figure: str, encoder: Encoder) -> str:
    """Of every other figure: precision, memorisation, ... on features."""
    return f"{figure}-{encoder.name}"
