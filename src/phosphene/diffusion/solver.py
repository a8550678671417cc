"""The solvers by name, for command lines and files. Python users call their makers with other options."""

from collections.abc import Mapping
from dataclasses import dataclass

from phosphene.diffusion.ancestral import Solver, consistency, ddim, ddpm, ddpm_large, ddpm_learned
from phosphene.diffusion.heun import heun
from phosphene.diffusion.multistep import dpmpp, unipc
from phosphene.diffusion.resampling import resampled


@dataclass(frozen=True)
class Named:
    """A solver as users meet it: what it is, whether it draws noise, and a number of steps that serves it."""

    solver: Solver
    summary: str
    noisy: bool
    steps: int


SOLVERS: Mapping[str, Named] = {
    "ddpm": Named(ddpm, "ancestral, the posterior's variance (Ho 2020)", True, 1000),
    "ddpm_large": Named(ddpm_large, "ancestral, the forward step's variance (Ho 2020)", True, 1000),
    "ddpm_learned": Named(
        ddpm_learned, "ancestral, the network's variance (Nichol & Dhariwal 2021)", True, 250
    ),
    "ddim": Named(ddim(), "first order, deterministic (Song 2021); eta adds noise", False, 50),
    "euler": Named(ddim(), "Euler's method: the same map as ddim, under its other name", False, 50),
    "euler_ancestral": Named(ddim(eta=1.0), "Euler with fresh noise: ddim with eta 1", True, 50),
    "heun": Named(heun(), "second order, two evaluations a step (Karras 2022)", False, 18),
    "edm": Named(heun(40.0, 0.05, 50.0, 1.003), "heun with churn, the paper's ImageNet settings", True, 128),
    "dpmpp_1": Named(dpmpp(1), "DPM-Solver++ of order 1: ddim", False, 50),
    "dpmpp_2m": Named(dpmpp(2), "DPM-Solver++ of order 2, multistep (Lu 2022)", False, 20),
    "dpmpp_3m": Named(dpmpp(3), "DPM-Solver++ of order 3, multistep", False, 20),
    "dpmpp_3m_published": Named(
        dpmpp(3, curvature=0.5), "DPM-Solver++(3M) as other libraries have it: half the curvature", False, 20
    ),
    "dpmpp_2m_sde": Named(dpmpp(2, eta=1.0), "DPM-Solver++(2M) with fresh noise", True, 30),
    "dpmpp_3m_sde": Named(dpmpp(3, eta=1.0), "DPM-Solver++(3M) with fresh noise", True, 30),
    "unipc": Named(unipc, "predictor and corrector of order 2 (Zhao 2023)", False, 20),
    "repaint": Named(resampled(5, 10), "ddpm, with noise gone through ten times (Lugmayr 2022)", True, 50),
    "consistency": Named(consistency, "x0_hat, then noise anew; for consistency models (Song 2023)", True, 2),
}
