"""Where the first number that is not finite arose: the failing step once more, every module listened to.

Forward, the first module whose output is not finite though all before it were, and in it the first operator
that made such numbers out of finite ones. Backward, the module whose own gradient was finite when what it
handed on was not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

UNWRITTEN = ("empty",)  # operators whose output is not yet anything


def origin(network: nn.Module, inputs: Sequence[Tensor], step: Callable[[], None]) -> str | None:
    """A few words that name the place; None if the step is finite this time.

    step: the forward and backward passes again, through `network` itself. inputs: what it learns from.
    The gradients are left as the step leaves them; everything else is as before.
    """
    if not all(map(finite, inputs)):
        return "in the pictures or their condition"
    for name, weight in network.named_parameters():
        if not finite(weight):
            return f"in weight {name}, before the step"
    listener = Listener()
    with listening(network, listener), torch.enable_grad():
        step()
    return listener.forward or listener.backward or _gradients(network)


def finite(value: object) -> bool:
    """Of all numbers in tensors, however nested."""
    tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return all(bool(t.isfinite().all()) for t in tensors if t.is_floating_point())


class Listener(TorchDispatchMode):
    """forward, backward: the place, once it is known. sound: the last module whose gradient was finite.
    heard: the tensors whose gradients are listened to; keeping them keeps their numbers their own."""

    def __init__(self) -> None:
        super().__init__()
        self.forward: str | None = None
        self.backward: str | None = None
        self.within: list[str] = []
        self.operators: dict[str, str] = {}
        self.sound: str | None = None
        self.heard: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        name = func.name() if hasattr(func, "name") else str(func)
        place = self.within[-1] if self.within else ""
        known = self.forward is not None or place in self.operators or any(w in name for w in UNWRITTEN)
        if not known and not finite(made) and finite((args, kwargs)):
            self.operators[place] = name
        return made

    def leave(self, name: str, module: nn.Module, output: object) -> None:
        """The module has answered."""
        if self.forward is None and not finite(output):
            kind = type(module).__name__
            operator = self.operators.get(name)
            by = f", operator {operator}" if operator else ""
            self.forward = f"in module {name or 'network'} ({kind}){by}"

    def hear(self, name: str, module: nn.Module, gradient: Tensor) -> None:
        """A gradient has reached the module's output."""
        if self.backward is not None:
            return
        if finite(gradient):
            self.sound = f"{name or 'network'} ({type(module).__name__})"
        else:
            after = f"backward in module {self.sound}" if self.sound else "in the gradient of the loss"
            self.backward = after


@contextmanager
def listening(network: nn.Module, listener: Listener) -> Iterator[None]:
    """Every module tells the listener when it begins, what it answers and which gradient comes back."""

    def enter(name: str) -> Callable[..., None]:
        return lambda _module, _inputs: listener.within.append(name)

    def leave(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: object, output: object) -> None:
            listener.within.pop()
            listener.leave(name, module, output)
            for tensor in tree_leaves(output):
                # What a module passes on from one inside it is that one's.
                new = isinstance(tensor, Tensor) and id(tensor) not in listener.heard
                if new and tensor.requires_grad:
                    listener.heard[id(tensor)] = tensor
                    tensor.register_hook(lambda gradient: listener.hear(name, module, gradient))

        return hook

    with ExitStack() as stack:
        for name, module in network.named_modules():
            stack.enter_context(_removing(module.register_forward_pre_hook(enter(name), prepend=True)))
            stack.enter_context(_removing(module.register_forward_hook(leave(name))))
        stack.enter_context(listener)
        yield


@contextmanager
def _removing(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _gradients(network: nn.Module) -> str | None:
    """The weights whose gradient is not finite, where all that modules handed on was."""
    bad = [name for name, weight in network.named_parameters() if not finite(weight.grad)]
    if not bad:
        return None
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"in the gradient of weight {bad[-1]}{more}"
