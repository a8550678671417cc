"""Plans: what a solver compiles to, and the one loop that runs them all.

Between two evaluations of the network every solver is a linear map of a few slots: the current x, a short
memory, the new x0_hat and fresh noise. A solver is written once in its paper's notation, as steps on
vectors; applying a step to the unit vectors gives its matrix.

    slots <- update[n] @ (slots, denoise(slots[0], level[n], condition), noise)

A plan is data. Rows of one batch may follow different plans, each at its own place in it.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from phosphene.diffusion import noise as draw
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise, split
from phosphene.diffusion.level import Level, like
from phosphene.diffusion.levels import Levels
from phosphene.diffusion.noise import Between, Key

Vectors = Tensor | tuple[Tensor, ...]


class Step(NamedTuple):
    """One evaluation: where the network is asked, and what is made of its answer.

    update: (*slots, x0, noise) -> new slots; the first slot is the x of the next evaluation.
    spread: ln(largest / smallest standard deviation) of the noise, where the network chooses between them.
    """

    level: Level
    update: Callable[..., Vectors]
    spread: Tensor = torch.zeros(())


class Plan(NamedTuple):
    """A compiled solver, float64. A batch of plans has one more dimension in front, a plan a row."""

    level: Level
    update: Float64[Tensor, "*b n slots slots+2"]
    spread: Float64[Tensor, "*b n"]

    @property
    def evaluations(self) -> int:
        """Network calls, NFE."""
        return self.update.shape[-3]

    @property
    def draws(self) -> Bool[Tensor, "*b n"]:
        """Whether an evaluation takes fresh noise."""
        return (self.update[..., -1] != 0).any(-1)

    def to(self, device: torch.device | str) -> "Plan":
        return Plan(self.level.to(device), self.update.to(device), self.spread.to(device))

    def at(self, n: Int64[Tensor, " b"]) -> "Plan":
        """The evaluation that each row of a batch of plans is at: a plan with one evaluation a row."""
        row = torch.arange(len(n), device=n.device)
        return Plan(self.level.rows((row, n)), self.update[row, n], self.spread[row, n])


def compile(steps: Iterable[Step]) -> Plan:
    """The plan of a solver: each step applied to the unit vectors. Slots that nobody reads are dropped."""
    steps = list(steps)
    slots = len(inspect.signature(steps[0].update).parameters) - 2
    unit = torch.eye(slots + 2, dtype=torch.float64)
    matrices = []
    for step in steps:
        new = step.update(*unit)
        matrices.append(torch.stack(new if isinstance(new, tuple) else (new,)))
    update = torch.stack(matrices)
    read = _read(update)
    update = update[:, read][:, :, [*read, slots, slots + 1]]
    level = Level(torch.stack([s.level.alpha for s in steps]), torch.stack([s.level.sigma for s in steps]))
    return Plan(level, update, torch.stack([s.spread.double() for s in steps]))


def _read(update: Tensor) -> list[int]:
    """The slots on which slot 0 depends at any later step."""
    depends = (update != 0).any(0)
    read = {0}
    while more := {j for i in read for j in range(len(depends)) if depends[i, j]} - read:
        read |= more
    return sorted(read)


def same(plan: Plan, rows: int) -> Plan:
    """One plan for every row of a batch."""
    level = Level(plan.level.alpha.expand(rows, -1), plan.level.sigma.expand(rows, -1))
    return Plan(level, plan.update.expand(rows, -1, -1, -1), plan.spread.expand(rows, -1))


def stack(plans: Sequence[Plan]) -> Plan:
    """A batch of plans, a row each: fewer slots are padded with empty ones, fewer steps by standing still."""
    slots = max(plan.update.shape[-2] for plan in plans)
    evaluations = max(plan.evaluations for plan in plans)
    padded = [_pad(plan, slots, evaluations) for plan in plans]
    return Plan(
        Level(torch.stack([p.level.alpha for p in padded]), torch.stack([p.level.sigma for p in padded])),
        torch.stack([p.update for p in padded]),
        torch.stack([p.spread for p in padded]),
    )


def _pad(plan: Plan, slots: int, evaluations: int) -> Plan:
    n, own = plan.update.shape[:2]
    update = torch.eye(slots, slots + 2, dtype=torch.float64).repeat(evaluations, 1, 1)
    update[:n] = 0
    update[:n, :own, :own] = plan.update[..., :own]
    update[:n, :own, -2:] = plan.update[..., -2:]
    again = torch.arange(evaluations).clamp(max=n - 1)
    still = torch.arange(evaluations) >= n
    return Plan(plan.level.rows(again), update, plan.spread[again].masked_fill(still, 0))


def advance(
    slots: Float[Tensor, "b slots c *shape"],
    denoise: Denoise,
    now: Plan,
    condition: Condition,
    noise: Float[Tensor, "b c *shape"] | None,
) -> Float[Tensor, "b slots c *shape"]:
    """One evaluation for every row: the network's answer, then each row's own matrix.

    now: for each row the evaluation that it is at (`Plan.at`). noise: each row's draw; None says that no row
    takes any here. The caller knows that from its own copy of the plans (`Plan.draws`): a plan on a device
    could only be asked by waiting for the device.
    """
    x = slots[:, 0]
    x0, fraction = split(denoise(x, now.level, condition), x)
    parts = [slots, x0[:, None]]
    update = now.update
    if noise is not None:
        noise = noise.to(x)
        if fraction is not None:
            noise = noise * torch.exp(like(now.spread, x) * fraction.clamp(0, 1))
        parts.append(noise[:, None])
    else:
        update = update[..., :-1]
    joined = torch.cat(parts, dim=1)
    # As one product of matrices: einsum takes longer to find out that it is one.
    return torch.bmm(update.to(x), joined.flatten(2)).view(-1, update.shape[-2], *x.shape[1:])


def begin(plan: Plan, key: Key | Between, shape: tuple[int, ...]) -> Float[Tensor, "b c *shape"]:
    """Pure noise for a batch of plans, at the scale that unit-variance data has at its first level."""
    noise = draw.normal(key, 0, shape)
    return like(torch.hypot(plan.level.alpha[:, 0], plan.level.sigma[:, 0]), noise) * noise


def sample(
    denoise: Denoise,
    plans: Plan | Sequence[Plan],
    key: Key | Between,
    condition: Condition,
    x: Float[Tensor, "b c *shape"] | tuple[int, ...],
    watch: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, "b c *shape"]:
    """Pictures, one for each row of `key`, made where `key` is.

    plans: one for all rows or one a row.   x: where to start, or the shape of one picture: pure noise.
    watch: called with the number of evaluations done and the current x, first with (0, x).
    """
    at = None
    for done, at in walk(denoise, plans, key, condition, x):
        if watch is not None:
            watch(done, at)
    assert at is not None
    return at


def walk(
    denoise: Denoise,
    plans: Plan | Sequence[Plan],
    key: Key | Between,
    condition: Condition,
    x: Float[Tensor, "b c *shape"] | tuple[int, ...],
) -> Iterator[tuple[int, Float[Tensor, "b c *shape"]]]:
    """What `sample` does, an evaluation at a time: how many are done, and the current x; first (0, x)."""
    rows, device = len(key.seed), key.seed.device
    batch = same(plans, rows) if isinstance(plans, Plan) else stack(plans)
    assert len(batch.update) == rows
    # The host decides from its own plans; all that the loop needs of them goes to the device before it.
    draws = batch.draws.any(0).tolist()
    batch = batch.to(device)
    if isinstance(x, tuple):
        x = begin(batch, key, x)
    slots = torch.zeros(rows, batch.update.shape[-2], *x.shape[1:], dtype=x.dtype, device=x.device)
    slots[:, 0] = x
    coming = draw.normals(key, [n + 1 for n, takes in enumerate(draws) if takes], tuple(x.shape[1:]))
    levels, updates, spreads = Levels(batch.level), batch.update.unbind(1), batch.spread.unbind(1)
    for n in range(batch.evaluations):
        yield n, slots[:, 0]
        now = Plan(levels.at(n), updates[n], spreads[n])
        slots = advance(slots, denoise, now, condition, next(coming) if draws[n] else None)
    yield batch.evaluations, slots[:, 0]
