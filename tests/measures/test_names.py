"""The well-known names go to the well-known encoders alone."""

import pytest
from torch import nn

from phosphene.measures.features.encoder import Encoder, Family
from phosphene.measures.features.encoders import ENCODERS
from phosphene.measures.names import cmmd_name, frechet_name, infinity_name, kernel_name, named


def encoder(family):
    return Encoder("some-1a2b3c4d", nn.Identity(), family)


def test_names():
    table = {
        Family.INCEPTION: ("FID", "FID-infinity", "KID"),
        Family.DINOV2: ("FD-DINOv2", "FD-infinity-DINOv2", "KD-DINOv2"),
        Family.CLIP: ("FD-some-1a2b3c4d", "FD-infinity-some-1a2b3c4d", "KD-some-1a2b3c4d"),
        Family.OWN: ("FD-some-1a2b3c4d", "FD-infinity-some-1a2b3c4d", "KD-some-1a2b3c4d"),
    }
    assert set(table) == set(Family)
    for family, wanted in table.items():
        one = encoder(family)
        assert (frechet_name(one), infinity_name(one), kernel_name(one)) == wanted
    assert cmmd_name(encoder(Family.CLIP)) == "CMMD"
    assert named("precision", encoder(Family.OWN)) == "precision-some-1a2b3c4d"


@pytest.mark.parametrize("family", [family for family in Family if family is not Family.CLIP])
def test_cmmd_is_of_clip(family):
    with pytest.raises(ValueError, match="CMMD is of CLIP"):
        cmmd_name(encoder(family))


def test_own_encoders_never_get_a_well_known_name():
    for make in ENCODERS.values():
        made = make()
        for name in (frechet_name(made), infinity_name(made), kernel_name(made)):
            assert name.endswith(made.name)
            assert not name.startswith(("FID", "KID", "CMMD"))
