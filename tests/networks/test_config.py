import json
from typing import Any

import pytest

from phosphene.networks.config import from_dict, to_dict
from phosphene.networks.transformer import TransformerConfig
from phosphene.networks.unet import UNetConfig

UNET = UNetConfig(3, 3, widths=(8, 16), attention=(False, True), head_width=8, dropout=0.1, classes=10)
TRANSFORMER = TransformerConfig(3, 3, patch=4, width=64, depth=2, token_width=5)


@pytest.mark.parametrize("config", [UNET, TRANSFORMER])
def test_a_configuration_survives_json(config: Any) -> None:
    written = json.loads(json.dumps(to_dict(config)))
    assert written == to_dict(config)
    assert from_dict(type(config), written) == config


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": (8, 16)}, "width: UNetConfig has no such field; did you mean widths?"),
        ({"zzz": 1}, "zzz: UNetConfig has no such field; fields are in_channels, out_channels, widths"),
        ({"widths": [8, "16"]}, 'widths.1: Input should be a valid integer, not "16"'),
        ({"blocks": 2.5}, "blocks: Input should be a valid integer"),
        ({"scale_shift": 1}, "scale_shift: Input should be a valid boolean, not 1"),
        ({"blocks": 0}, "blocks: 0 is too small, 1 or more is accepted"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        from_dict(UNetConfig, {**to_dict(UNET), **change})
    assert str(error.value).startswith(said)


def test_a_field_that_must_be_given_is_named() -> None:
    with pytest.raises(ValueError, match=r"^in_channels: Field required"):
        from_dict(UNetConfig, {"out_channels": 1, "widths": [8], "attention": [False]})
