"""Guidance against closed forms: what it makes of known denoisers."""

import math
from dataclasses import replace

import torch

from phosphene.diffusion import exact, grid, guidance, noise, schedule
from phosphene.diffusion.ancestral import ddim
from phosphene.diffusion.condition import NO_LABEL, Condition, join
from phosphene.diffusion.level import Level, like
from phosphene.diffusion.plan import compile, sample
from tests.oracles import levels, mixture, points

AT = levels([0.8, 0.6, 0.1], [0.6, 0.8, math.sqrt(0.99)])  # ratios 0.75, 1.33, 9.9


def by_label(x: torch.Tensor, level: Level, condition: Condition) -> torch.Tensor:
    """A denoiser that knows three answers: for nothing, for class 0 and for class 1."""
    assert condition.label is not None
    answers = torch.tensor([1.0, 10.0, 100.0], dtype=x.dtype)  # label -1 is the last row
    return answers[condition.label].reshape(-1, 1, 1, 1) + 0 * x


LABELS = Condition(label=torch.tensor([0, 1, NO_LABEL]))


def test_classifier_free_is_the_extrapolation_of_each_row():
    scale = torch.tensor([0.0, 2.5, 7.0])
    said = guidance.classifier_free(by_label, scale)(points(3, 1, 2, 2), AT, LABELS)[:, 0, 0, 0]
    # D_u + w (D_c - D_u) with D_u = 100 and D_c = 1, 10, 100.
    torch.testing.assert_close(said, torch.tensor([100.0, 100 + 2.5 * (10 - 100), 100.0]).double())


def test_scale_one_is_the_plain_denoiser():
    x = points(3, 1, 2, 2)
    said = guidance.classifier_free(by_label, torch.ones(3))(x, AT, LABELS)
    torch.testing.assert_close(said, by_label(x, AT, LABELS))


def test_both_answers_come_from_one_call():
    calls = []

    def counted(x, level, condition):
        calls.append(len(x))
        return by_label(x, level, condition)

    guidance.classifier_free(counted, torch.full((3,), 2.0))(points(3, 1, 2, 2), AT, LABELS)
    assert calls == [6]


def test_what_is_not_wanted_stands_for_nothing():
    """D_neg + w (D_c - D_neg): nothing but the plain answer where both are the same."""
    x, scale = points(3, 1, 2, 2), torch.tensor([0.0, 2.5, 7.0])
    against = Condition(label=torch.tensor([1, 0, 0]))
    said = guidance.classifier_free(by_label, scale, against=against)(x, AT, LABELS)[:, 0, 0, 0]
    torch.testing.assert_close(said, torch.tensor([10.0, 1 + 2.5 * 9, 1 + 7 * 99.0]).double())
    same = guidance.classifier_free(by_label, scale, against=LABELS)(x, AT, LABELS)
    torch.testing.assert_close(same, by_label(x, AT, LABELS))


def test_an_exact_classifier_makes_the_exact_conditional():
    """Bayes: the mixture's denoiser, guided by log p(component | x_t) at scale 1, is the component's own."""
    whole = mixture()
    parts = [
        exact.Mixture(m[None], s[None], torch.zeros(1))
        for m, s in zip(whole.means, whole.deviations, strict=True)
    ]
    asked = torch.tensor([0, 1, 2, 1])
    at = levels([0.9, 0.7, 0.3, 0.0], [0.4, 0.7, 0.95, 1.0])
    x = points(4, 2, 1, 1)

    def log_probability(x: torch.Tensor, level: Level) -> torch.Tensor:
        joint = torch.stack(
            [p.log_density(x, level) + w for p, w in zip(parts, whole.log_weights, strict=True)]
        )
        return joint.log_softmax(0)[asked, torch.arange(4)]

    with torch.inference_mode():
        guided = guidance.classifier(whole.denoise, log_probability, torch.ones(4))(x, at, Condition())
    own = torch.cat(
        [parts[k].denoise(x[i : i + 1], at.rows(slice(i, i + 1)), Condition()) for i, k in enumerate(asked)]
    )
    torch.testing.assert_close(guided[:3], own[:3], rtol=0, atol=1e-12)
    # Where nothing of the picture is left, there is nothing to classify.
    torch.testing.assert_close(guided[3:], whole.denoise(x, at, Condition())[3:])
    twice = guidance.classifier(whole.denoise, log_probability, torch.tensor([0.0, 2.0, 1.0, 1.0]))
    plain = whole.denoise(x, at, Condition())
    torch.testing.assert_close(twice(x, at, Condition())[0], plain[0])
    torch.testing.assert_close(twice(x, at, Condition())[1], plain[1] + 2 * (own[1] - plain[1]))


def test_an_interval_guides_only_inside():
    scale = torch.full((3,), 3.0)
    guided = guidance.classifier_free(by_label, scale, (1.0, 5.0))
    said = guided(points(3, 1, 2, 2), AT, Condition(label=torch.tensor([1, 1, 1])))[:, 0, 0, 0]
    torch.testing.assert_close(said, torch.tensor([10.0, 100 + 3 * (10 - 100), 10.0]).double())


def test_guided_gaussians_are_a_gaussian_that_is_known():
    """p(x|c) = N(1, s^2) and p(x) = N(0, s^2) of one width: guidance w moves the mean to w, exactly."""
    both = (exact.gaussian(torch.ones(1, 1, 1), 0.5), exact.gaussian(torch.zeros(1, 1, 1), 0.5))

    def denoise(x, level, condition):
        given = both[0].denoise(x, level, condition), both[1].denoise(x, level, condition)
        return torch.where((condition.label >= 0).reshape(-1, 1, 1, 1), *given)

    plan = compile(ddim()(grid.log_snr(schedule.cosine(), 400)))
    scale = torch.tensor([0.0, 1.0, 3.0])
    start = torch.zeros(3, 1, 1, 1, dtype=torch.float64)  # the median of the noise goes to the median
    condition = Condition(label=torch.zeros(3, dtype=torch.int64))
    guided = guidance.classifier_free(denoise, scale)
    x = sample(guided, plan, noise.keys(0, range(3)), condition, start)
    torch.testing.assert_close(x[:, 0, 0, 0], scale.double(), rtol=0, atol=0.01)


def by_picture_and_words(x: torch.Tensor, level: Level, condition: Condition) -> torch.Tensor:
    """A denoiser of four answers a row: 1 to nothing, 10 p to a picture p, 100 to words, and 1000 p more to
    both. Behind it, a learned variance: 0.25 and, to words, 0.5 more."""
    assert condition.picture is not None
    assert condition.mask is not None
    p, words = condition.picture[:, :1], condition.mask.any(1).to(x)[:, None, None, None]
    said = 1 + 10 * p + 100 * words + 1000 * p * words + 0 * x
    return torch.cat([said, 0.25 + 0.5 * words + 0 * x], dim=1)


EDITS = Condition(
    picture=torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2).double(),
    tokens=torch.zeros(3, 2, 4),
    mask=torch.tensor([[True, False], [True, True], [False, False]]),
)


def test_edits_are_guided_by_picture_and_words():
    """D_00 + s_I (D_I0 - D_00) + s_T (D_IT - D_I0), the third row without any words."""
    text, picture = torch.tensor([7.5, 0.0, 4.0]), torch.tensor([1.5, 2.0, 3.0])
    said = guidance.of_edit(by_picture_and_words, text, picture)(points(3, 1, 2, 2), AT, EDITS)
    expected = [1 + 1.5 * 10 + 7.5 * 1100, 1 + 2 * 20.0, 1 + 3 * 30.0]
    torch.testing.assert_close(said[:, 0, 0, 0], torch.tensor(expected).double())
    assert said[:, 1, 0, 0].tolist() == [0.75, 0.75, 0.25]  # of who heard both


def test_at_scales_of_one_an_edit_is_the_plain_answer():
    x = points(3, 1, 2, 2)
    said = guidance.of_edit(by_picture_and_words, torch.ones(3), torch.ones(3))(x, AT, EDITS)
    torch.testing.assert_close(said, by_picture_and_words(x, AT, EDITS))


def test_at_a_picture_scale_of_one_an_edit_is_classifier_free():
    x, scale = points(3, 1, 2, 2), torch.tensor([0.0, 2.5, 7.0])
    said = guidance.of_edit(by_picture_and_words, scale, torch.ones(3))(x, AT, EDITS)
    plain = guidance.classifier_free(by_picture_and_words, scale)(x, AT, EDITS)
    torch.testing.assert_close(said[:, 0], plain[:, 0])


def test_edits_against_words_hear_them_with_and_without_the_picture():
    assert EDITS.mask is not None
    against = replace(EDITS, mask=EDITS.mask.flip(0))
    text, picture = torch.tensor([2.0, 3.0, 5.0]), torch.tensor([3.0, 3.0, 3.0])
    said = guidance.of_edit(by_picture_and_words, text, picture, against=against)(
        points(3, 1, 2, 2), AT, EDITS
    )
    expected = [1 + 3 * 10 + 2 * 1100.0, 101 + 3 * 2020.0, 101 + 3 * 3030 - 5 * 3100.0]
    torch.testing.assert_close(said[:, 0, 0, 0], torch.tensor(expected).double())


def test_edits_are_guided_inside_an_interval_and_in_one_call():
    calls = []

    def counted(x, level, condition):
        calls.append((len(x), level.ratio.tolist()))
        return by_picture_and_words(x, level, condition)

    three = torch.full((3,), 3.0)
    x = points(3, 1, 2, 2)
    said = guidance.of_edit(counted, three, three, (1.0, 5.0))(x, AT, EDITS)[:, 0]
    plain = by_picture_and_words(x, AT, EDITS)[:, 0]
    torch.testing.assert_close(said[::2], plain[::2])
    torch.testing.assert_close(said[1], torch.full_like(said[1], 1 + 3 * 20 + 3 * 2100))
    assert calls == [(9, AT.ratio.tolist() * 3)]


def test_autoguidance_is_the_extrapolation_from_the_weaker():
    x = points(3, 1, 2, 2)
    weak, strong = (lambda x, level, condition: 0 * x + 2), (lambda x, level, condition: 0 * x + 5)
    scale = torch.tensor([1.0, 2.0, 0.5])
    said = guidance.autoguidance(strong, weak, scale)(x, AT, Condition())[:, 0, 0, 0]
    torch.testing.assert_close(said, torch.tensor([5.0, 8.0, 3.5]).double())
    inside = guidance.autoguidance(strong, weak, scale, (0.0, 1.0))(x, AT, Condition())[:, 0, 0, 0]
    torch.testing.assert_close(inside, torch.tensor([5.0, 5.0, 5.0]).double())


def test_a_learned_variance_is_the_strong_answers():
    def with_fraction(value: float, fraction: float):
        return lambda x, level, condition: torch.cat([0 * x + value, 0 * x + fraction], dim=1)

    guided = guidance.autoguidance(with_fraction(5, 0.25), with_fraction(2, 0.75), torch.full((3,), 2.0))
    said = guidance.clip(guided)(points(3, 1, 2, 2), AT, Condition())
    assert said[:, 0].unique().tolist() == [1.0]  # 8, clipped
    assert said[:, 1].unique().tolist() == [0.25]


def test_clip():
    x = torch.tensor([-3.0, -0.5, 2.0]).reshape(1, 1, 1, 3)
    at = AT.rows(slice(0, 1))
    assert guidance.clip(lambda x, level, condition: x)(x, at, Condition()).flatten().tolist() == [
        -1,
        -0.5,
        1,
    ]


def test_dynamic_threshold_by_hand():
    """Imagen: s is the 99.5th percentile of |x0|, at least 1; clip to s, divide by s; row by row."""
    values = torch.linspace(-2, 2, 201, dtype=torch.float64)
    x = torch.stack([values, values / 4]).reshape(2, 1, 1, 201)
    at = AT.rows(slice(0, 2))
    said = guidance.dynamic_threshold(lambda x, level, condition: x)(x, at, Condition()).reshape(2, 201)
    # |x| takes 0 once and 0.02 .. 2.00 twice; the order statistic at 0.995 of 200 intervals is the 199th.
    s = sorted(values.abs().tolist())[199]
    torch.testing.assert_close(said[0], values.clamp(-s, s) / s)
    torch.testing.assert_close(said[1], values / 4)


def test_a_quantile_is_torchs_and_of_any_number_of_values():
    values = torch.randn(3, 1001, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for n in (1, 2, 7, 1001):
        for share in (0.0, 0.3, 0.995, 1.0):
            expected = torch.quantile(values[:, :n], share, dim=1)
            torch.testing.assert_close(guidance.row_quantile(values[:, :n], share), expected)
    many = torch.linspace(0, 1, 2**24 + 3)[None]  # which torch.quantile refuses
    torch.testing.assert_close(guidance.row_quantile(many, 0.995), torch.tensor([0.995]))


def test_conditions_join_and_forget():
    one = Condition(label=torch.tensor([3]), mask=torch.tensor([[True, False]]), tokens=torch.ones(1, 2, 4))
    both = join([one, one.null()])
    assert both.label is not None
    assert both.mask is not None
    assert both.tokens is not None
    assert both.label.tolist() == [3, NO_LABEL]
    assert both.mask.tolist() == [[True, False], [False, False]]
    assert both.tokens.shape == (2, 2, 4)
    longer = Condition(
        label=torch.tensor([4]), mask=torch.tensor([[True, True, True]]), tokens=torch.full((1, 3, 4), 2.0)
    )
    mixed = join([one, longer])
    assert mixed.mask is not None
    assert mixed.tokens is not None
    assert mixed.mask.tolist() == [[True, False, False], [True, True, True]]
    assert mixed.tokens[:, :, 0].tolist() == [[1, 1, 0], [2, 2, 2]]
    picture = Condition(picture=torch.ones(1, 1, 2, 2))
    assert picture.null() == picture
    bare = join([picture, picture.without_picture()]).picture
    assert bare is not None
    assert bare[:, 0, 0, 0].tolist() == [1, 0]
    assert one.without_picture().picture is None


def test_finite_data_is_denoised_to_its_nearest_picture():
    """As noise falls, the ideal denoiser of a data set says the picture that x came from."""
    pictures = points(5, 1, 3, 3)
    data = exact.finite(pictures)
    low = levels([1.0] * 5, [0.01] * 5)
    x = pictures + 0.01 * points(5, 1, 3, 3, seed=1)
    torch.testing.assert_close(data.denoise(x, low, Condition()), pictures, rtol=0, atol=1e-12)
    high = levels([1.0] * 5, [1e6] * 5)
    said = data.denoise(x, high, Condition())
    torch.testing.assert_close(said, pictures.mean(0).expand(5, -1, -1, -1), rtol=0, atol=1e-4)
    middle = levels([0.7] * 5, [0.9] * 5)
    distance = ((x[:, None] - 0.7 * pictures) ** 2).flatten(2).sum(2)
    weights = torch.softmax(-distance / (2 * 0.9**2), dim=1)
    expected = torch.einsum("bk,kchw->bchw", weights, pictures)
    torch.testing.assert_close(data.denoise(x, middle, Condition()), expected)
    assert like(middle.alpha, x).shape == (5, 1, 1, 1)


def test_towards_moves_a_gaussian_by_what_is_liked_exactly():
    """p(x) = N(m, s^2), f = a . x: p e^(w f) is N(m + w s^2 a, s^2), whose own denoiser it must be."""
    torch.manual_seed(0)
    mean, a = torch.randn(2, 3, 3).double(), torch.randn(2, 3, 3).double()
    s, strength = 0.5, torch.tensor([0.0, 1.0, -2.5, 1.0])
    at = levels([0.9, 0.7, 0.3, 0.0], [0.4, 0.7, 0.95, 1.0])
    x = points(4, 2, 3, 3)
    plain = exact.gaussian(mean, s).denoise
    with torch.inference_mode():
        guided = guidance.towards(plain, lambda x0: (x0 * a).flatten(1).sum(1), strength)(x, at, Condition())
    for row, w in enumerate(strength[:3].tolist()):
        tilted = exact.gaussian(mean + w * s**2 * a, s).denoise
        own = tilted(x[row : row + 1], at.rows(slice(row, row + 1)), Condition())
        torch.testing.assert_close(guided[row : row + 1], own, rtol=0, atol=1e-12)
    # Where there is no picture in x, there is nothing to like.
    torch.testing.assert_close(guided[3:], plain(x, at, Condition())[3:])


def test_towards_keeps_a_learned_variance():
    def denoise(x, level, condition):
        return torch.cat([2 * x, 0 * x + 0.25], dim=1)

    x = points(3, 1, 2, 2)
    guided = guidance.towards(denoise, lambda x0: (x0**2).flatten(1).sum(1), torch.ones(3))(
        x, AT, Condition()
    )
    gain = (AT.sigma**2 / AT.alpha)[:, None, None, None]
    torch.testing.assert_close(guided[:, :1], 2 * x + gain * 8 * x)  # the derivative of 4 x^2
    assert guided[:, 1:].unique().tolist() == [0.25]


def test_between_two_conditions_is_the_mean_of_the_answers():
    x, other = points(3, 1, 2, 2), Condition(label=torch.tensor([1, 0, 0]))
    share = torch.tensor([0.0, 0.25, 1.0])
    said = guidance.between(by_label, other, share)(x, AT, LABELS)[:, 0, 0, 0]
    torch.testing.assert_close(said, torch.tensor([1.0, 0.75 * 10 + 0.25 * 1, 1.0]).double())
    # Around a guided denoiser: guidance of the mean.
    scale = torch.full((3,), 3.0)
    around = guidance.between(guidance.classifier_free(by_label, scale), other, share)(x, AT, LABELS)
    mean = guidance.between(by_label, other, share)(x, AT, LABELS)
    torch.testing.assert_close(around, 100 + 3 * (mean - 100))
