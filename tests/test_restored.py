"""What the benches of restored pictures share."""

from typing import cast

import numpy as np
import torch
from bench.quality.restored import mean

from phosphene.families.sampled import Sampled


def test_the_mean_of_samples_is_of_their_values():
    values = torch.tensor([-1.0, 0.0, 1.0, 1.0])[:, None, None, None].expand(4, 3, 2, 2)
    made = mean(cast(Sampled, type("Made", (), {"values": values})))
    np.testing.assert_array_equal(np.asarray(made), np.full((2, 2, 3), int(128 * 1.25)))
