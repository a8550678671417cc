"""A device beside the CPU, where there is no GPU.

`lazy` is torch's own second device: it computes on the CPU, and refuses to mix its tensors with the CPU's.
`meta` has no values: whoever asks it for one, as only a host that waits for its device does, is refused.
"""

from typing import Any

import torch
import torch._lazy.ts_backend
from torch.utils._python_dispatch import TorchDispatchMode

torch._lazy.ts_backend.init()
LAZY, META = torch.device("lazy"), torch.device("meta")


class Transfers(TorchDispatchMode):
    """Counts what goes from the CPU to another device: on a GPU each is waited for."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            self.count += made.device != args[-1].device
        return made
