"""The reference implementations that ours are held against, imported in one place.

Their annotations promise less than they do (a mixin hides the constructors), so they are typed as Any.
"""

import warnings
from importlib import import_module
from typing import Any


def _scheduler(module: str, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers' import warns of its own dependencies
        return getattr(import_module(f"diffusers.schedulers.scheduling_{module}"), name)


DDIMScheduler = _scheduler("ddim", "DDIMScheduler")
DDPMScheduler = _scheduler("ddpm", "DDPMScheduler")
DPMSolverMultistepScheduler = _scheduler("dpmsolver_multistep", "DPMSolverMultistepScheduler")
EulerAncestralDiscreteScheduler = _scheduler("euler_ancestral_discrete", "EulerAncestralDiscreteScheduler")
EulerDiscreteScheduler = _scheduler("euler_discrete", "EulerDiscreteScheduler")
FlowMatchEulerDiscreteScheduler = _scheduler("flow_match_euler_discrete", "FlowMatchEulerDiscreteScheduler")
HeunDiscreteScheduler = _scheduler("heun_discrete", "HeunDiscreteScheduler")
UniPCMultistepScheduler = _scheduler("unipc_multistep", "UniPCMultistepScheduler")
