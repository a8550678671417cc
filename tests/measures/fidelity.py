"""torch-fidelity without torchvision, which has no build for CPUs: a stand-in serves while it is imported."""

import importlib
import sys
import types
from unittest.mock import patch

_STAND_IN = {
    name: types.ModuleType(name)
    for name in (
        "torchvision",
        "torchvision.datasets",
        "torchvision.transforms",
        "torchvision.transforms.functional",
    )
}
for _name in ("CIFAR10", "CIFAR100", "STL10"):
    setattr(_STAND_IN["torchvision.datasets"], _name, type(_name, (), {}))
_STAND_IN["torchvision.transforms"].functional = _STAND_IN["torchvision.transforms.functional"]  # type: ignore[attr-defined]
_STAND_IN["torchvision"].transforms = _STAND_IN["torchvision.transforms"]  # type: ignore[attr-defined]

# Gone again afterwards: transformers and diffusers look for torchvision and would believe it.
with patch.dict(sys.modules, _STAND_IN):
    fid = importlib.import_module("torch_fidelity.metric_fid")
    kid = importlib.import_module("torch_fidelity.metric_kid")
    inception = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    resize = importlib.import_module("torch_fidelity.interpolate_compat_tensorflow")
for _name in _STAND_IN:
    sys.modules.pop(_name, None)
