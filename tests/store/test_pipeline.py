"""Pipelines of diffusers become generators that make the same pictures."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import phosphene
from phosphene.diffusion.noise import keys, normal
from phosphene.networks.unet import UNet
from phosphene.store.exchange import write_diffusers
from phosphene.store.pipeline import CLASSES, PeerScheduler
from tests.diffusion.peers import DDIMScheduler, DDPMScheduler
from tests.store.test_exchange import ADM, CIFAR10, peer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # diffusers' import warns of its own dependencies
    from diffusers.pipelines.ddim.pipeline_ddim import DDIMPipeline
    from diffusers.pipelines.ddpm.pipeline_ddpm import DDPMPipeline

ROWS, SEED = 3, 5
SETTINGS = {**CIFAR10, "in_channels": 3, "out_channels": 3}


def calm(settings: dict[str, Any]) -> Any:
    """A random network that says little, so that pictures stay within [-1, 1]."""
    network: Any = peer(settings)
    with torch.no_grad():
        network.conv_out.weight.mul_(0.1)
        network.conv_out.bias.mul_(0.1)
    return network


def save(pipeline: Any, scheduler: Any, folder: Path, **settings: Any) -> Any:
    made = pipeline(calm({**SETTINGS, **settings}), scheduler)
    made.save_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    return made


def feed(patch: pytest.MonkeyPatch, module: str, turn: int) -> None:
    """Draws for diffusers what our row draws: the beginning (turn 0), then a step's noise each."""
    turns = iter(range(turn, 2000))
    patch.setattr(
        f"diffusers.{module}.randn_tensor",
        lambda shape, **_: normal(keys(SEED, range(ROWS)), next(turns), tuple(shape[1:])),
    )


def agree(values: torch.Tensor, theirs: torch.Tensor) -> None:
    ours = (values / 2 + 0.5).clamp(0, 1)
    assert int(((theirs > 0.01) & (theirs < 0.99)).sum()) > 30, "a test that sees little"
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"prediction_type": "v_prediction", "clip_sample": False}, 10),
        ({"prediction_type": "v_prediction", "beta_schedule": "squaredcos_cap_v2"}, 20),
        ({"prediction_type": "sample", "timestep_spacing": "trailing", "clip_sample": False}, 8),
        ({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}, 20),
        (
            {
                "prediction_type": "v_prediction",
                "rescale_betas_zero_snr": True,
                "timestep_spacing": "trailing",
            },
            10,
        ),
    ],
)
@torch.no_grad()
def test_ddim_makes_the_same_pictures(options, steps, tmp_path, monkeypatch):
    """Steps that divide 1000: between others diffusers' DDIM does not land on its own next time."""
    pipeline = save(DDIMPipeline, DDIMScheduler(**options), tmp_path)
    feed(monkeypatch, "pipelines.ddim.pipeline_ddim", 0)
    theirs = pipeline(
        batch_size=ROWS, num_inference_steps=steps, output_type="pt", use_clipped_model_output=True
    ).images
    generator = phosphene.load(tmp_path, device="cpu")
    assert (generator.size, generator.channels, generator.classes) == (8, 3, ())
    agree(generator.sample(ROWS, seed=SEED, steps=steps).values, theirs)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@torch.no_grad()
def test_ddpm_makes_the_same_pictures(variance, tmp_path, monkeypatch):
    pipeline = save(DDPMPipeline, DDPMScheduler(variance_type=variance), tmp_path)
    feed(monkeypatch, "pipelines.ddpm.pipeline_ddpm", 0)
    feed(monkeypatch, "schedulers.scheduling_ddpm", 1)
    theirs = pipeline(batch_size=ROWS, num_inference_steps=20, output_type="pt").images
    generator = phosphene.load(tmp_path, device="cpu")
    assert generator.defaults.steps == 1000
    agree(generator.sample(ROWS, seed=SEED, steps=20).values, theirs)


def test_a_learned_variance_is_heard(tmp_path):
    """The first model of the hub's kind: scheduler and network in one folder, labels, six channels said."""
    calm({**ADM, "in_channels": 3, "num_class_embeds": 4}).save_pretrained(tmp_path)
    DDPMScheduler(variance_type="learned_range").save_config(tmp_path)
    generator = phosphene.load(tmp_path, device="cpu")
    assert generator.model.header.diffusion.learned_variance
    assert generator.defaults.solver == "ddpm_learned"
    assert generator.classes == ("0", "1", "2", "3")
    assert bool(generator.sample(2, label=3, guidance=2.0, steps=3).values.isfinite().all())


def test_without_a_scheduler_a_ddpm_is_taken(tmp_path):
    calm(SETTINGS).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"^ema 0\.1: [^\n]* is a model of diffusers[^\n]*$"):
        phosphene.load(tmp_path, device="cpu", ema=0.1)
    header = phosphene.load(tmp_path, device="cpu").model.header
    assert (header.diffusion.schedule, header.diffusion.prediction) == ("linear", "eps")
    assert (header.sampling.solver, header.sampling.threshold) == ("ddpm", "clip")


def test_what_we_wrote_for_diffusers_is_read_again(tmp_path):
    calm(SETTINGS).save_pretrained(tmp_path / "theirs")
    network = phosphene.load(tmp_path / "theirs", device="cpu").model.network
    assert isinstance(network, UNet)
    write_diffusers(network, tmp_path / "ours", sample_size=8)
    again = phosphene.load(tmp_path / "ours", device="cpu").model.network
    assert all(torch.equal(again.state_dict()[name], value) for name, value in network.state_dict().items())


def test_defaults_are_those_of_diffusers():
    theirs = {name: value for kind in (DDIMScheduler, DDPMScheduler) for name, value in kind().config.items()}
    ours = vars(PeerScheduler())
    assert {name: value for name, value in theirs.items() if not name.startswith("_")} == ours
    assert (DDPMScheduler.__name__, DDIMScheduler.__name__) == CLASSES


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (
            "_class_name",
            "PNDMScheduler",
            "'PNDMScheduler' cannot be read, 'DDPMScheduler' or 'DDIMScheduler'",
        ),
        ("beta_schedule", "sigmoid", '"sigmoid"'),
        ("beta_end", 0.03, "0.03 cannot be read, 0.02 is accepted"),
        ("num_train_timesteps", 500, "500 cannot be read, 1000 is accepted"),
        ("prediction_type", "flow", '"flow"'),
        ("trained_betas", [0.1], "[0.1]"),
        ("thresholding", True, "False, not true"),
        ("clip_sample_range", 2.0, "2.0 cannot be read, 1.0 is accepted"),
        ("steps_offset", 1, "1 cannot be read, 0 is accepted"),
        ("set_alpha_to_one", False, "True, not false"),
        ("variance_type", "learned_range", "'learned_range' cannot be read"),
        ("beta_stat", 0.1, "did you mean beta_start?"),
    ],
)
def test_schedulers_that_ours_lacks_are_named(field, value, words, tmp_path):
    save(DDPMPipeline, DDPMScheduler(), tmp_path)
    file = tmp_path / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    with pytest.raises(ValueError, match=rf"^{re.escape(f'{file}: {field}')}[^\n]*$") as error:
        phosphene.load(tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sample_size": None}, "sample_size: None cannot be read, the side of a square is accepted"),
        ({"sample_size": (8, 16)}, "sample_size: [8, 16] cannot be read"),
        ({"in_channels": 5, "out_channels": 5}, "channels 5: input should be less than or equal to 4"),
        ({"out_channels": 4}, "channels 3: the network says 4"),
        ({"sample_size": 6}, "size 6: the network takes multiples of 4"),
    ],
)
def test_networks_that_make_no_pictures_are_named(settings, words, tmp_path):
    calm({**SETTINGS, **settings}).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=rf"^{re.escape(f'{tmp_path}/config.json: {words}')}[^\n]*$"):
        phosphene.load(tmp_path)


def test_damaged_schedulers_are_named(tmp_path):
    save(DDPMPipeline, DDPMScheduler(), tmp_path)
    file = tmp_path / "scheduler" / "scheduler_config.json"
    for text in ("{", "[]"):
        file.write_text(text)
        with pytest.raises(ValueError, match=rf"^{re.escape(str(file))}: [^\n]*$"):
            phosphene.load(tmp_path)
