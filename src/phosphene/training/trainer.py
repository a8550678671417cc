"""The training loop. A step is a function of (weights, optimizer state, seed, step) and of nothing else.

So a run that was killed goes on from its last checkpoint to the same bits: data order, noise, levels,
hidden labels, augmentation and dropout are all drawn from (seed, step).
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from phosphene.data.augment import edm_augment, flip
from phosphene.data.dataset import Dataset
from phosphene.data.loader import Loader, Rows, rows_of
from phosphene.diffusion.noise import Key
from phosphene.families.compiled import faster
from phosphene.families.device import computing_in, made_ready
from phosphene.families.family import Batch, Family
from phosphene.families.precision import Precision, choose_precision
from phosphene.networks.build import outer, repeated
from phosphene.networks.clip import ClipNetwork
from phosphene.networks.transformer import Transformer
from phosphene.networks.unet import UNet
from phosphene.recipes.settings import Recipe
from phosphene.tasks.task import Task
from phosphene.training import optimizer, scale
from phosphene.training.assemble import parts
from phosphene.training.ema import Averages
from phosphene.training.horizon import CHECKPOINT, Horizon
from phosphene.training.progress import Diverged, Progress
from phosphene.training.share import Share
from phosphene.training.watch import probe
from phosphene.training.watch.finding import Finding, handy
from phosphene.training.watch.observation import Observation, Step, about
from phosphene.training.watch.origin import origin
from phosphene.training.watch.watch import Watch
from phosphene.training.workers import Workers

F = TypeVar("F", bound=Family)


@dataclass
class Trainer(Generic[F]):
    """A run's parts, and its state: weights, averages, optimizers, step, seconds.

    elapsed: seconds from the first step on, whatever they were spent on. waited: those of this process in
    which a step waited for data. clock: seconds from any origin.
    """

    recipe: Recipe
    dataset: Dataset
    family: F
    task: Task
    device: torch.device
    workers: Workers
    step: int = 0
    elapsed: float = 0.0
    waited: float = 0.0
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        settings, data = self.recipe.training, self.recipe.data
        if self.family.whole and self.workers.world > 1:
            raise ValueError(
                f"{self.workers.world} workers: the loss of recipe {self.recipe.name} compares all pictures "
                "of a batch with one another; start one, without torchrun"
            )
        self.network = made_ready(self.family.network, self.device)
        self.config = cast(UNet | Transformer | ClipNetwork, self.network).config
        training, self.held_out = self.dataset.split(data.held_out)
        self.loader = Loader(
            self.dataset,
            training,
            settings.batch,
            settings.seed,
            self.device,
            self.workers.rank,
            self.workers.world,
        )
        self.optimizers = optimizer.build(
            self.network,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(settings.beta1, settings.beta2),
            muon=settings.optimizer == "muon",
            outer=outer(self.network),
        )
        self.averages = Averages(self.network, settings.ema)
        self.compute_in(settings.precision)
        self.scale = scale.for_precision(self.precision.name)
        total = None if settings.images is None else math.ceil(settings.images / settings.batch)
        self.horizon = Horizon(
            total,
            settings.budget,
            settings.decay,
            {CHECKPOINT: settings.checkpoint},
            measuring=Share(settings.measure_share, settings.validate_every),
        )
        self.probe, self.told = probe.Probe(self.network), Observation(0)
        self.watch = Watch(about(self.recipe, len(self.loader.indices), any(self.dataset.captions or ())))
        self.ticked = self.clock()
        self.parallel = self.family.with_network(self.workers.wrap(self.network))

    def compute_in(self, precision: str) -> None:
        """Sets the precision: what "auto" means is measured, so a run that goes on is told how it began, and
        of several workers, whose clocks may differ, the first decides."""
        chosen = choose_precision(precision, self.device, repeated(self.config), training=True)
        first = self.workers.gather(chosen.name)[0]
        self.precision = chosen if chosen.name == first else Precision(first, "as the first worker chose")
        # Singular values end between 0.7 and 1.2 in either; fp16 would overflow on the way.
        self.optimizers.multiply_in(torch.bfloat16 if self.precision.name == "bf16" else torch.float32)

    def quick(self) -> nn.Module:
        """The network in the way that is fastest for the steps to come; it shares the weights."""
        settings, size = self.recipe.training, self.dataset.size
        rows = -(-settings.batch // (settings.accumulate * self.workers.world))
        x = torch.zeros(rows, self.dataset.channels, size, size, device=self.device)
        condition = self.task.blank(rows, (self.dataset.channels, size, size), self.device)

        def step(network: nn.Module) -> None:
            with computing_in(self.precision.name, self.device):
                answer = self.family.answer(network, x, condition)
            answer.float().square().mean().backward()
            self.network.zero_grad()

        def calls(each: float) -> float:
            if self.horizon.total is not None:
                return float((self.horizon.total - self.step) * settings.accumulate)
            assert settings.budget is not None
            return (settings.budget - self.elapsed) / each

        return faster(self.network, self.device, calls, step, f"train {tuple(x.shape)} {self.precision.name}")

    def run(self, stop: Callable[[], bool]) -> Iterator[Progress]:
        """Trains until the horizon or until told to stop, reporting after every step."""
        with torch.random.fork_rng():
            self.ticked = self.clock()
            if (quick := self.quick()) is not self.network:
                self.parallel = self.family.with_network(self.workers.wrap(quick))
            while not self.horizon.finished(self.step):
                waited = self.waited
                loss, gradient = self.update()
                spent = self.tick()
                self.horizon.settle(self.step, self.elapsed, spent)
                self.watch.see(self.timed(spent, self.waited - waited))
                stopping, self.horizon.total = self.workers.agree(stop(), self.horizon.total)
                yield self.progress(loss, gradient, spent, self.waited - waited)
                if stopping:
                    return

    def tick(self) -> float:
        """Counts the seconds since the last tick as elapsed, and returns them."""
        now = self.clock()
        spent, self.ticked = now - self.ticked, now
        self.elapsed += spent
        return spent

    def aside(self, do: Callable[[], object]) -> float:
        """Does what is not a step, and returns the seconds that it took."""
        self.tick()
        do()
        return self.tick()

    def progress(self, loss: float, gradient: float, spent: float, waited: float) -> Progress:
        batch = self.recipe.training.batch
        return Progress(
            self.step,
            self.horizon.total,
            self.step * batch,
            loss,
            gradient,
            self.rate(max(self.step - 1, 0)),
            batch / spent,
            self.elapsed,
            self.horizon.left(self.step, self.elapsed),
            waited / spent,
        )

    def rate(self, step: int) -> float:
        """The learning rate of a step, as a share of the recipe's."""
        settings = self.recipe.training
        # While a budget has not become a number of steps, the decay has not begun.
        total = self.horizon.total or 2**62
        return optimizer.rate(step, settings.warmup, total, settings.decay)

    def update(self) -> tuple[float, float]:
        """One step. Returns the loss and the norm of the gradient. Raises Diverged before any harm."""
        settings = self.recipe.training
        self.begin()
        asked = self.clock()
        rows = self.loader.batch(self.step)
        self.waited += self.clock() - asked
        batch = self.batch(rows)
        self.optimizers.zero_grad()
        losses = []
        for part in parts(len(batch.x0), settings.accumulate):
            with computing_in(self.precision.name, self.device):
                each = self.parallel.loss("network", self.part(batch, part))
            (each.sum() * (self.scale.factor / len(batch.x0))).backward()
            losses.append(each.detach())
        each = torch.cat(losses)
        self.scale.undo(self.network.parameters())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        # Both at once: on a GPU each question waits for all work before it.
        told = torch.cat([torch.stack([each.mean(), norm.to(each)]), probe.pixels(rows.values)])
        mean, gradient, *pixels = told.tolist()
        loss, rate, layers = self.workers.mean(mean), self.rate(self.step), None
        if math.isfinite(loss) and math.isfinite(gradient):
            self.optimizers.set_rate(settings.learning_rate * rate)
            before = self.probe.before() if probe.looks(self.step + 1) else None
            self.optimizers.step()
            layers = before and self.probe.after(before, rate)
            self.scale.good_step()
        elif math.isfinite(loss) and self.scale.changes:
            self.scale.overflow()
        else:
            raise Diverged(self.explain(rows, batch, each, loss, gradient))
        self.step += 1
        self.averages.update(self.step)
        unknown = math.nan  # until the step is over
        of_step = Step(loss, gradient, self.scale.factor, rate, unknown, unknown, unknown, *pixels)
        self.told = Observation(self.step, of_step, layers)
        return loss, gradient

    def begin(self) -> None:
        """Before each step: dropout is the one thing that draws from torch's own generator."""
        number = self.step * self.workers.world + self.workers.rank
        torch.manual_seed((self.recipe.training.seed * 0x9E3779B1 + number) % 2**63)
        if not self.network.training:
            self.network.train()

    def timed(self, spent: float, waited: float) -> Observation:
        """What the last step told, with what the clock knows."""
        assert self.told.training is not None
        left, pace = self.horizon.left(self.step, self.elapsed), self.horizon.pace
        total = self.horizon.total or (self.step + left / pace if left is not None and pace else math.nan)
        told = self.told.training._replace(seconds=spent, waited=waited, total=total)
        return self.told._replace(training=told)

    def batch(self, rows: Rows) -> Batch:
        """What the family learns from: augmented pictures and their condition."""
        seed = torch.full_like(rows.places, self.recipe.training.seed)
        key = Key(seed, rows.places)
        values, told, data = rows.values, None, self.recipe.data
        if data.augment:
            values, told = edm_augment(values, key, self.step, data.augment)
        elif data.flip:
            values = flip(values, key, self.step)
        condition = replace(self.task.training(rows, values, key, self.step), augment=told)
        return Batch(values, condition, key, self.step, self.recipe.training.batch)

    def part(self, batch: Batch, rows: slice) -> Batch:
        """Some rows of a batch; each keeps its place, so its noise."""
        key = Key(batch.key.seed[rows], batch.key.picture[rows])
        return Batch(
            batch.x0[rows], batch.condition.each(lambda value: value[rows]), key, batch.step, batch.total
        )

    def explain(self, rows: Rows, batch: Batch, each: Tensor, loss: float, gradient: float) -> Finding:
        """Where the first number that is not finite arose: the picture, the module, the operator."""
        bad = (~each.isfinite()).nonzero()
        words = []
        if len(bad):
            row = int(bad[0])
            name = self.dataset.names[int(rows.numbers[row])]
            words.append(f"picture {name} (row {row} of its batch), {self.family.explain(batch, row)}")
        inputs = [value for value in vars(batch.condition).values() if value is not None]
        if place := origin(self.network, [batch.x0, *inputs], lambda: self.again(batch)):
            words.append(f"it arose {place}")
        where = next((word for word in self.workers.gather(", ".join(words)) if word), "from finite losses")
        what = f"the gradient is {gradient}" if math.isfinite(loss) else f"the loss is {loss}"
        rate = self.recipe.training.learning_rate
        return Finding(
            "nan",
            self.step,
            f"{what} in step {self.step}: {where}; learning rate {rate * self.rate(self.step):.3g}",
            f"try --set training.learning_rate={handy(rate / 3)}",
        )

    def again(self, batch: Batch) -> None:
        """The passes of a step once more, through the network as it was written, by this worker alone."""
        self.optimizers.zero_grad()
        self.begin()
        for part in parts(len(batch.x0), self.recipe.training.accumulate):
            with computing_in(self.precision.name, self.device):
                each = self.family.loss("network", self.part(batch, part))
            (each.sum() * (self.scale.factor / len(batch.x0))).backward()

    @cached_property
    def shadow(self) -> F:
        """The family around a copy of the network, for averaged weights."""
        network = copy.deepcopy(self.network).eval().requires_grad_(False)
        return self.family.with_network(network)

    def averaged(self) -> dict[str, Tensor]:
        """The weights that are shipped: the average of the first length."""
        return self.averages.weights(self.recipe.training.ema[0])

    def held_out_batch(self, numbers: np.ndarray) -> Batch:
        """Pictures as they are, and what the data says of them; picture i has the noise of (0, i)."""
        rows = rows_of(self.dataset, numbers, self.device)
        key = Key(torch.zeros_like(rows.numbers), rows.numbers)
        return Batch(rows.values, self.task.known(rows, key), key, 0, len(numbers))

    def frozen(self) -> dict[str, Tensor]:
        """The weights that are not learned: those of the model that the run began from."""
        return {name: w.detach() for name, w in self.network.named_parameters() if not w.requires_grad}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that a resumed run needs, besides those that never change."""
        weights, frozen = dict(self.network.named_parameters()), self.frozen()
        learned = {name: w.detach() for name, w in self.network.state_dict().items() if name not in frozen}
        groups = {
            "network": learned,
            "ema": self.averages.export_state(),
            "optimizer": optimizer.export_state(self.optimizers, weights),
        }
        return {
            f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()
        }

    def facts(self) -> dict[str, Any]:
        """All else that a resumed run needs."""
        return {
            "precision": {"device": self.device.type, "name": self.precision.name},
            "elapsed": self.elapsed,
            "total": self.horizon.total,
            "costs": self.horizon.costs,
            "measuring": self.horizon.measuring.state(),
            "fingerprint": self.dataset.fingerprint,
            "scale": vars(self.scale),
            "watch": self.watch.state(),
        }

    def restore(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """The state of a checkpoint. Raises ValueError if it belongs to other data."""
        if facts["fingerprint"] != self.dataset.fingerprint:
            raise ValueError(
                f"data.source {self.recipe.data.source}: the pictures are not those that the run began with; "
                "put them back, or start a new run"
            )
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "ema": {}, "optimizer": {}}
        for name, value in tensors.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = value
        self.network.load_state_dict(self.frozen() | groups["network"])
        self.averages.import_state(groups["ema"])
        optimizer.import_state(self.optimizers, dict(self.network.named_parameters()), groups["optimizer"])
        self.step, self.elapsed = step, facts["elapsed"]
        self.horizon.total, self.horizon.costs = facts["total"], dict(facts["costs"])
        self.horizon.measuring.restore(facts["measuring"])
        self.scale = scale.LossScale(**facts["scale"])
        began = facts.get("precision")  # runs of before did not say
        if self.recipe.training.precision == "auto" and began and began["device"] == self.device.type:
            self.compute_in(began["name"])
        self.watch.restore(facts["watch"])


def evenly(numbers: Int64[np.ndarray, " n"], most: int) -> Int64[np.ndarray, " m"]:
    """At most so many of the numbers, at even distances: of pictures in order of class, some of each."""
    count = min(most, len(numbers))
    return numbers[np.arange(count) * len(numbers) // count]
