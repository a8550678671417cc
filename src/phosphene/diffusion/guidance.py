"""Guidance: functions from denoisers to denoisers that change what is asked, not how it is solved.

    classifier-free   D_u + w (D_c - D_u): away from the answer to nothing          (Ho & Salimans 2022)
    in an interval    w only at noise levels where it helps, 1 elsewhere           (Kynkaanniemi 2024)
    of an edit        D_00 + s_I (D_I0 - D_00) + s_T (D_IT - D_I0)                 (Brooks 2023, eq. 3)
    autoguidance      D_bad + w (D - D_bad): away from a weaker self                (Karras 2024)
    classifier        D + w sigma^2 / alpha grad log p(y | x_t)                     (Dhariwal & Nichol 2021)
    towards           D + w sigma^2 / alpha grad f(D)                     (of CLIP's f: Nichol 2022, GLIDE)
    between           (1 - share) D_a + share D_b: on the way from one condition to another
    thresholding      x0_hat brought back into [-1, 1]                             (Saharia 2022, section 2.3)

They compose: `clip(classifier_free(denoise, scale))` thresholds the guided answer.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.condition import Condition, join
from phosphene.diffusion.denoiser import Denoise, change_x0, split
from phosphene.diffusion.level import Level, like

LogProbability = Callable[[Tensor, Level], Tensor]
Liking = Callable[[Float[Tensor, "b *shape"]], Float[Tensor, " b"]]

EVERYWHERE = (0.0, float("inf"))


def extrapolate(weak: Tensor, strong: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    """weak + scale (strong - weak) on the picture's channels; a learned variance is the strong one's."""
    (low, _), (high, fraction) = split(weak, x), split(strong, x)
    guided = torch.lerp(low, high, like(scale, x))
    return guided if fraction is None else torch.cat([guided, fraction], dim=1)


def _inside(scale: Tensor, level: Level, interval: tuple[float, float]) -> Tensor:
    if interval == EVERYWHERE:
        return scale
    low, high = interval
    ratio = level.ratio
    return torch.where((ratio >= low) & (ratio <= high), scale, torch.ones_like(scale))


def classifier_free(
    denoise: Denoise,
    scale: Float[Tensor, " b"],
    interval: tuple[float, float] = EVERYWHERE,
    against: Condition | None = None,
) -> Denoise:
    """Each row's scale: 0 asks nothing, 1 is the plain condition, more exaggerates it.

    interval: smallest and largest sigma / alpha at which rows are guided. against: what stands for nothing,
    such as what is not wanted (negative prompts), instead of the condition's null. Both answers come from one
    call of twice the rows.
    """

    def guided(x: Tensor, level: Level, condition: Condition) -> Tensor:
        both = join([condition, condition.null() if against is None else against])
        asked, nothing = denoise(torch.cat([x, x]), level.twice(), both).chunk(2)
        return extrapolate(nothing, asked, _inside(scale, level, interval), x)

    return guided


def of_edit(
    denoise: Denoise,
    scale: Float[Tensor, " b"],
    picture_scale: Float[Tensor, " b"],
    interval: tuple[float, float] = EVERYWHERE,
    against: Condition | None = None,
) -> Denoise:
    """Each row's scales, of what is asked and of the picture that it is asked of (InstructPix2Pix).

    D_IT hears both, D_I0 is given the picture alone, D_00 nothing at all; one call of three times the rows.
    At a picture scale of 1 it is `classifier_free`. interval, against: as there.
    """

    def guided(x: Tensor, level: Level, condition: Condition) -> Tensor:
        given = condition.null() if against is None else against
        thrice = Level(torch.cat([level.alpha] * 3), torch.cat([level.sigma] * 3))
        said = denoise(torch.cat([x] * 3), thrice, join([condition, given, given.without_picture()]))
        asked, seen, nothing = said.chunk(3)
        (high, fraction), (middle, _), (low, _) = (split(each, x) for each in (asked, seen, nothing))
        of_picture, of_text = (like(_inside(s, level, interval), x) for s in (picture_scale, scale))
        x0 = low + of_picture * (middle - low) + of_text * (high - middle)
        return x0 if fraction is None else torch.cat([x0, fraction], dim=1)

    return guided


def autoguidance(
    denoise: Denoise,
    weaker: Denoise,
    scale: Float[Tensor, " b"],
    interval: tuple[float, float] = EVERYWHERE,
) -> Denoise:
    """Away from what a smaller or less trained model says; needs no condition."""

    def guided(x: Tensor, level: Level, condition: Condition) -> Tensor:
        weak, strong = weaker(x, level, condition), denoise(x, level, condition)
        return extrapolate(weak, strong, _inside(scale, level, interval), x)

    return guided


def classifier(denoise: Denoise, log_probability: LogProbability, scale: Float[Tensor, " b"]) -> Denoise:
    """Towards what a classifier of noisy pictures takes for the class: the way before classifier-free.

    By Bayes' rule the score of p(x_t | y) is that of p(x_t) plus the gradient of log p(y | x_t), and
    D = (x_t + sigma^2 score) / alpha. At scale 1 with the true classifier the answer is D given y, exactly.
    log_probability(x, level): log p(y | x_t) of each row's class y, which autograd can follow to x. Where
    alpha is 0 there is no picture to classify and nothing is added.
    """

    def guided(x: Tensor, level: Level, condition: Condition) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            there = x.clone().requires_grad_()
            plain = Level(level.alpha.clone(), level.sigma.clone())
            (gradient,) = torch.autograd.grad(log_probability(there, plain).sum(), there)
        alpha = torch.where(level.alpha > 0, level.alpha, torch.inf)
        weight = like(scale.to(level.sigma) * level.sigma**2 / alpha, x)
        return change_x0(denoise, lambda x0, _: x0 + weight * gradient)(x, level, condition)

    return guided


def towards(denoise: Denoise, liking: Liking, strength: Float[Tensor, " b"]) -> Denoise:
    """Towards pictures that are liked: f = liking(x0), a number a row, which autograd can follow to x0.

    Samples of p(x) are to be samples of p(x) e^(w f(x)), up to a constant: p(y | x_t) is taken to be
    e^(w f(D(x_t))), and its gradient goes through the denoiser. Exact for Gaussian p and linear f, whose
    mean it moves by w s^2 grad f. One backward pass a call. Where alpha is 0 nothing is added.
    """

    def guided(x: Tensor, level: Level, condition: Condition) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            there = x.detach().clone().requires_grad_()
            plain = Level(level.alpha.clone(), level.sigma.clone())
            x0, fraction = split(denoise(there, plain, condition.each(torch.clone)), there)
            (gradient,) = torch.autograd.grad(liking(x0).sum(), there)
        gain = torch.where(plain.alpha > 0, plain.sigma**2 / plain.alpha, 0)
        answer = x0.detach() + like(strength.to(gain) * gain, x) * gradient
        return answer if fraction is None else torch.cat([answer, fraction.detach()], dim=1)

    return guided


def between(denoise: Denoise, other: Condition, share: Float[Tensor, " b"]) -> Denoise:
    """Each row's share of the way from its condition to another's: the mean of the two answers.

    Its score is that of p(x | a)^(1 - share) p(x | b)^share, up to a factor (compare Liu 2022, equation 11):
    what both conditions allow, weighed. Each answer hears its own text whole, so that prompts of any lengths
    have something between them, and nothing is made of padding. Around a guided denoiser it is guidance of
    the mean: the two are linear.
    """

    def mixed(x: Tensor, level: Level, condition: Condition) -> Tensor:
        first, second = denoise(x, level, condition), denoise(x, level, other)
        return torch.lerp(first, second, like(share, x))

    return mixed


def clip(denoise: Denoise) -> Denoise:
    """x0_hat clipped to [-1, 1] (static thresholding; DDPM's sampler does it)."""
    return change_x0(denoise, lambda x0, _: x0.clamp(-1, 1))


def row_quantile(values: Float[Tensor, "b n"], quantile: float) -> Float[Tensor, " b"]:
    """Of each row, linear between neighbours in order: torch.quantile, which takes 2^24 values at most."""
    last = values.shape[1] - 1
    below = int(quantile * last)
    low = values.kthvalue(below + 1, dim=1).values
    high = values.kthvalue(min(below + 1, last) + 1, dim=1).values
    return torch.lerp(low, high, quantile * last - below)


def dynamic_threshold(denoise: Denoise, quantile: float = 0.995) -> Denoise:
    """Each row clipped at s and divided by s, where s = max(1, this quantile of |x0_hat|)."""

    def threshold(x0: Tensor, _: Level) -> Tensor:
        s = like(row_quantile(x0.abs().flatten(1), quantile).clamp(min=1), x0)
        return x0.clamp(-s, s) / s

    return change_x0(denoise, threshold)
