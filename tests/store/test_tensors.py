"""Everything that holds weights is whole or as it was, and says in one line that the disk is full."""

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from phosphene.networks.unet import UNet, UNetConfig
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store import exchange, model
from phosphene.store.tensors import write_tensors
from phosphene.training import checkpoint

CONFIG = UNetConfig(1, 1, widths=(32,), attention=(False,))
HEADER = model.Header(diffusion=DiffusionSettings(), sampling=SamplingSettings(), size=8, channels=1)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may grow beyond a size: writing fails as on a full disk, with another number."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def save_model(folder: Path, value: float) -> None:
    network = UNet(CONFIG)
    network.enter.weight.data.fill_(value)
    model.save(folder, HEADER, CONFIG, network.state_dict(), "card")


def save_checkpoint(folder: Path, value: float) -> None:
    checkpoint.save(folder.parent, int(folder.name[5:]), {"x": torch.full((50_000,), value)}, {})


def save_diffusers(folder: Path, value: float) -> None:
    network = UNet(CONFIG)
    network.enter.weight.data.fill_(value)
    exchange.write_diffusers(network, folder, 8)


@pytest.mark.parametrize("save", [save_model, save_checkpoint, save_diffusers])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(save: Callable, tmp_path: Path):
    folder = tmp_path / "step-00000001"
    save(folder, 1.0)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with full_disk(20_000), pytest.raises(OSError, match="cannot write") as error:
        save(folder, 2.0)
    assert str(error.value) == f"[Errno 27] cannot write: {os.strerror(errno.EFBIG)}: '{folder}'"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_whoever_reads_other_files_reads_it(tmp_path: Path):
    write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)})
    (tmp_path / "b").write_text("")
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_tied_weights_and_any_layout_are_written(tmp_path: Path):
    x = torch.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path / "t", {"x": x, "again": x, "turned": x.T})
    read = load_file(tmp_path / "t")
    assert torch.equal(read["again"], x)
    assert torch.equal(read["turned"], x.T)


def test_what_else_a_folder_holds_is_not_lost_to_diffusers(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"^folder [^\n]*: it holds letter\.txt; give a new folder[^\n]*$"):
        save_diffusers(tmp_path, 1.0)
    assert (tmp_path / "letter.txt").read_text() == "dear"
