"""How pictures are asked for: solver, steps, grid, guidance. Each value is checked when it is given."""

import difflib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import torch

from phosphene.diffusion import guidance as guides
from phosphene.diffusion.ancestral import Solver, ddim
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.grid import GRIDS
from phosphene.diffusion.heun import heun
from phosphene.diffusion.multistep import dpmpp
from phosphene.diffusion.plan import Plan, compile
from phosphene.diffusion.schedule import Schedule
from phosphene.diffusion.sdedit import begun
from phosphene.diffusion.solver import SOLVERS
from phosphene.recipes.settings import Threshold

ETA = ("ddim", "euler", "euler_ancestral")
ORDERS = {"dpmpp_1": 1, "dpmpp_2m": 2, "dpmpp_3m": 3, "dpmpp_2m_sde": 2, "dpmpp_3m_sde": 3}


@dataclass(frozen=True)
class Asked:
    """steps: solver steps; heun and edm evaluate the network twice in each but the last.

    eta: share of fresh noise (ddim, euler and dpmpp solvers but dpmpp_3m_published). churn: S_churn (heun
    and edm). guidance: 1 is none. image_guidance: of the picture that an editing model is shown; None and 1
    are none. interval: smallest and largest sigma / alpha that are guided, the largest may be infinite.
    threshold: of x0_hat.
    """

    solver: str
    steps: int
    grid: str
    eta: float | None = None
    churn: float | None = None
    guidance: float = 1.0
    interval: tuple[float, float] | None = None
    threshold: str = "none"
    image_guidance: float | None = None

    def __post_init__(self) -> None:
        known("solver", self.solver, SOLVERS)
        known("grid", self.grid, GRIDS)
        known("threshold", self.threshold, get_args(Threshold))
        if self.steps < 1:
            raise ValueError(f"steps {self.steps}: give 1 or more")
        if not math.isfinite(self.guidance):
            raise ValueError(f"guidance {self.guidance}: give a number; 1 is none, 2 to 5 is common")
        if self.image_guidance is not None and not math.isfinite(self.image_guidance):
            raise ValueError(f"image_guidance {self.image_guidance}: give a number; 1 is none, 1.5 is common")
        if self.eta is not None and not 0 <= self.eta <= 1:
            raise ValueError(f"eta {self.eta}: give a share from 0 (no fresh noise) to 1")
        if self.churn is not None and not 0 <= self.churn < math.inf:
            raise ValueError(f"churn {self.churn}: give a number, 0 or more; 40 is common")
        if self.interval is not None and not 0 <= self.interval[0] <= self.interval[1]:
            raise ValueError(f"interval {self.interval}: give the smaller sigma / alpha first, 0 or more")
        if self.interval is not None and not self.guides:
            raise ValueError(f"interval {self.interval}: guidance 1 guides nowhere; give guidance too")

    @property
    def guides(self) -> bool:
        """Whether answers are compared."""
        return self.guidance != 1 or self.image_guidance not in (None, 1)

    def refuse_for(self, comparable: bool, learned_variance: bool, without_picture: bool = False) -> None:
        """Raises ValueError for what needs two answers to compare, one of them without the picture that is
        shown, or a learned variance, of a model that lacks them."""
        if self.image_guidance is not None and not without_picture:
            raise ValueError(
                f"image_guidance {self.image_guidance:g}: only a model that was trained for editing has it; "
                "leave it out"
            )
        if self.guidance != 1 and not comparable:
            raise ValueError(
                f"guidance {self.guidance:g}: this model was trained without labels or captions, whose "
                "answers it compares; leave it out, or give weaker"
            )
        if self.solver == "ddpm_learned" and not learned_variance:
            raise ValueError(
                "solver 'ddpm_learned': this model was trained without diffusion.learned_variance; "
                "ddpm and ddpm_large need none"
            )

    def describe(self) -> dict[str, Any]:
        """What was asked, without what was not, in values that JSON has; numbers understand "inf"."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if self.interval is not None:
            given["interval"] = [end if math.isfinite(end) else "inf" for end in self.interval]
        return given

    @lru_cache(maxsize=64)  # noqa: B019 - what is asked is small, and servers are asked the same
    def plan(self, schedule: Schedule, strength: float = 1.0) -> Plan:
        """The plan of the solver on its grid, begun at this strength. Raises ValueError for an option that
        the solver lacks."""
        grid = GRIDS[self.grid](schedule, self.steps)
        return compile(self._solver()(grid if strength == 1 else begun(schedule, grid, strength)))

    def _solver(self) -> Solver:
        solver = SOLVERS[self.solver].solver
        if self.eta is not None:
            if self.solver in ETA:
                solver = ddim(self.eta)
            elif self.solver in ORDERS:
                solver = dpmpp(ORDERS[self.solver], self.eta)
            else:
                having = ", ".join([*ETA, *ORDERS])
                raise ValueError(f"eta: {self.solver} has none; accepted with {having}")
        if self.churn is not None:
            if self.solver not in ("heun", "edm"):
                raise ValueError(f"churn: {self.solver} has none; heun and edm do")
            solver = heun(self.churn, 0.05, 50.0, 1.003)
        return solver

    def steer(
        self,
        denoise: Denoise,
        scales: Sequence[float],
        device: torch.device,
        against: Condition | None = None,
        weaker: Denoise | None = None,
        of_picture: Sequence[float] = (),
    ) -> Denoise:
        """The denoiser with guidance around it, for a batch of rows with these scales.

        against: what guidance compares with instead of nothing. weaker: what it compares with instead of this
        denoiser's own answers. of_picture: each row's scale of what is shown of a picture.
        """
        guides_picture = any(scale != 1 for scale in of_picture)
        if all(scale == 1 for scale in scales) and not guides_picture:
            return denoise
        scale = torch.tensor(scales, dtype=torch.float32, device=device)
        interval = self.interval or guides.EVERYWHERE
        if guides_picture:
            other = torch.tensor(of_picture, dtype=torch.float32, device=device)
            return guides.of_edit(denoise, scale, other, interval, against)
        if weaker is not None:
            return guides.autoguidance(denoise, weaker, scale, interval)
        return guides.classifier_free(denoise, scale, interval, against)

    def bound(self, denoise: Denoise) -> Denoise:
        """The denoiser with the threshold around it: of what is said in the end."""
        if self.threshold == "clip":
            return guides.clip(denoise)
        return guides.dynamic_threshold(denoise) if self.threshold == "dynamic" else denoise


def known(field: str, value: str, names: Collection[str]) -> None:
    """Raises ValueError, with the nearest name, for one that does not exist."""
    if value not in names:
        near = difflib.get_close_matches(value, list(names), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{field} {value!r}: {hint}accepted are {', '.join(names)}")
