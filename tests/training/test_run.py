"""A run's life: exact resume after SIGKILL, interruption, damage, divergence, workers, budgets."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training import checkpoint, metrics
from phosphene.training.folder import RunFolder, create
from phosphene.training.train import start
from phosphene.training.trainer import Diverged, Trainer
from tests.conftest import SMALL, small

# Everything that draws at random: dropout, hidden labels, levels, noise, augmentation, order; and both
# optimizers, two averages, and batches in parts. It is measured all the time, so that kills come while it is.
THOROUGH = (
    "network.dropout=0.1",
    "data.augment=0.5",
    "training.accumulate=2",
    "training.optimizer=muon",
    "training.warmup=5",
    "training.measure_share=0.5",
    "training.validate_every=0.1",
    "training.measure_pictures=20",
)
STEPS, BATCH = 16, 32


def recipe(*assignments: str):
    values = {"data.source": "digits", **dict(map(parse_assignment, (*SMALL, *assignments)))}
    return changed(RECIPES["flow"], values)


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "phosphene", *map(str, words)]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def train_words(out: Path, *more: str) -> list[str]:
    length = ["--images", str(STEPS * BATCH), "--batch", str(BATCH)]
    return command("train", "digits", "--out", out, *length, "--quiet", *small(*THOROUGH, *more))


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, averages and optimizers equal bit for bit."""
    first, second = (checkpoint.load(root / "state") for root in (one, other))
    assert first.step == second.step == STEPS
    assert first.tensors.keys() == second.tensors.keys()
    for name, value in first.tensors.items():
        assert torch.equal(value, second.tensors[name]), name
    shipped, again = (load_file(root / "model" / "model.safetensors") for root in (one, other))
    assert all(torch.equal(value, again[name]) for name, value in shipped.items())


def test_a_run_killed_anywhere_ends_with_the_same_bits(tmp_path):
    """SIGKILL before the first checkpoint, then at random moments, with a checkpoint always being written."""
    subprocess.run(train_words(tmp_path / "whole"), env=environment(), check=True, capture_output=True)
    often = ["--set", "training.checkpoint=0.2"]
    words = [*train_words(tmp_path / "killed"), *often]
    recipe, state = tmp_path / "killed" / "recipe.toml", tmp_path / "killed" / "state"
    chance, kills, done = random.Random(0), 0, False
    while not done:
        process = subprocess.Popen(words, env=environment(), stderr=subprocess.DEVNULL)
        before = time.time()
        if kills == 0:
            while not recipe.exists() and process.poll() is None:
                time.sleep(0.001)
            process.kill()
            assert not checkpoint.any_in(state)
        elif kills < 3:
            while not list(state.glob("step-*")) and process.poll() is None:
                time.sleep(0.01)
            seen = {path.name for path in state.glob("step-*")}
            while {path.name for path in state.glob("step-*")} <= seen and process.poll() is None:
                time.sleep(0.002)  # it has gone beyond what it found
            time.sleep(chance.uniform(0, 0.2))
            process.kill()
            assert time.time() - before < 120
        code = process.wait()
        assert code in (0, -signal.SIGKILL)
        done, kills = code == 0, kills + (code != 0)
        words = command("train", "--resume", tmp_path / "killed", "--quiet")
    assert kills >= 2
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_new_run_killed_before_any_operation_on_files_can_be_started_or_resumed(tmp_path):
    """Whatever `create` had done, it finds an empty folder or a run to resume; with force a new one."""

    def survives(operations: int, force: bool) -> bool:
        child = os.fork()
        if child == 0:
            left = operations

            def die(event: str, _: object) -> None:
                nonlocal left
                left -= event in {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"}
                if left < 0:
                    os._exit(9)

            sys.addaudithook(die)
            create(tmp_path / "r", recipe(), force)
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0

    for force in (False, True):
        operations, alive = 0, False
        while not alive:
            shutil.rmtree(tmp_path / "r", ignore_errors=True)
            if force:
                create(tmp_path / "r", recipe(), False)
                (tmp_path / "r" / "state").mkdir()
                (tmp_path / "r" / "model").mkdir()
            alive = survives(operations, force)
            folder = RunFolder(tmp_path / "r")
            if folder.recipe.exists():
                assert folder.read_recipe() == recipe()
            create(tmp_path / "r", recipe(), force or folder.recipe.exists())
            assert [path.name for path in (tmp_path / "r").iterdir()] == ["recipe.toml"]
            operations += 1
        assert operations > 3


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(cli, tmp_path):
    out = tmp_path / "r"
    words = ["--images", str(STEPS * BATCH), "--batch", str(BATCH), "--quiet", *small(*THOROUGH)]
    assert cli("train", "digits", "--out", out, *words).code == 0
    whole = tmp_path / "whole"
    out.rename(whole)
    assert cli("train", "digits", "--out", out, "--set", "training.checkpoint=0.3", *words).code == 0
    newest = max((out / "state").glob("step-*"))
    assert newest.name == f"step-{STEPS:08d}"
    tensors = newest / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    said = cli("train", "--resume", out)
    assert said.code == 0, said.err
    assert f"{newest.name} is damaged" in said.err
    assert_same_run(whole, out)


def test_what_killed_writers_left_goes_when_a_run_goes_on(cli, tmp_path):
    out = tmp_path / "r"
    words = ["--images", "64", "--batch", "32", "--quiet", *small()]
    assert cli("train", "digits", "--out", out, *words).code == 0
    for left in ("", "log", "state"):
        (out / left / ".writing-model-abcd").mkdir()
        (out / left / ".writing-model-abcd" / "model.safetensors").write_bytes(b"half")
    assert cli("train", "--resume", out, "--images", "96", "--quiet").code == 0
    assert not list(out.rglob(".writing-*"))


def test_the_log_is_rewound_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    for step in range(5):
        metrics.append(path, {"step": step, "loss": float("nan")})
    before = path.read_text()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            metrics.rewind(path, 2)
    assert path.read_text() == before
    metrics.rewind(path, 2)
    assert [line["step"] for line in metrics.read(path)] == [0, 1, 2]
    metrics.rewind(tmp_path / "none.jsonl", 2)
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_resume(tmp_path, number):
    out = tmp_path / "r"
    words = [*train_words(out), "--images", "100000000"]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        deadline = time.time() + 60
        while not (out / "log" / "metrics.jsonl").exists() and time.time() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"to go on: phosphene train --resume {out}" in said
    loaded = checkpoint.load(out / "state")
    assert loaded.step > 0
    last = json.loads((out / "log" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == loaded.step
    assert (out / "model" / "model.safetensors").is_file()


def test_other_data_is_not_resumed_on(cli, tmp_path):
    from PIL import Image

    (tmp_path / "p").mkdir()
    for i in range(20):
        Image.new("L", (8, 8), 10 * i).save(tmp_path / "p" / f"{i}.png")
    words = ["--images", "16", "--batch", "8", "--quiet", *small()]
    assert cli("train", tmp_path / "p", "--out", tmp_path / "r", *words).code == 0
    Image.new("L", (8, 8), 255).save(tmp_path / "p" / "3.png")
    said = cli("train", "--resume", tmp_path / "r", "--images", "32")
    assert said.code == 2
    assert "not those that the run began with" in said.err


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(tmp_path):
    """No file may grow to the size of this run's checkpoint: writing fails as on a full disk."""
    out = tmp_path / "r"
    subprocess.run(train_words(out), env=environment(), check=True, capture_output=True)
    before = checkpoint.load(out / "state")
    size = max(path.stat().st_size for path in (out / "state").rglob("*.safetensors"))

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    more = command("train", "--resume", out, "--images", str((STEPS + 3) * BATCH), "--quiet")
    done = subprocess.run(
        more, env=environment(), capture_output=True, text=True, preexec_fn=small_disk, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "cannot write" in done.stderr
    after = checkpoint.load(out / "state")
    assert after.step == before.step
    subprocess.run(more, env=environment(), check=True, capture_output=True)
    assert checkpoint.load(out / "state").step == STEPS + 3


def test_divergence_stops_and_names_the_place(tmp_path, monkeypatch):
    """A NaN in one row of step 3: named by step, picture and noise level; the checkpoint before is kept."""
    from phosphene.families.diffusion import Diffusion

    loss = Diffusion.loss

    def broken(self, player, batch):
        each = loss(self, player, batch)
        return torch.where(torch.arange(len(each)) == 5, float("nan"), each) if batch.step == 3 else each

    monkeypatch.setattr(Diffusion, "loss", broken)
    wanted = recipe("training.batch=16", "training.images=160", "training.checkpoint=1e-9")
    with pytest.raises(Diverged) as error:
        start(wanted, tmp_path / "r")
    message = str(error.value)
    assert "the loss is nan in step 3: picture " in message
    assert "(row 5 of its batch), noise level sigma / alpha = " in message
    assert "learning rate" in message
    assert "\n" not in message
    loaded = checkpoint.load(tmp_path / "r" / "state")
    assert loaded.step == 3
    assert all(bool(value.isfinite().all()) for value in loaded.tensors.values())
    named = message.split("picture ")[1].split(" ")[0]
    level = float(message.split("sigma / alpha = ")[1].split(";")[0])
    assert_named_row(wanted, named, level)


def assert_named_row(wanted, named: str, level: float) -> None:
    """What the message says is what row 5 of step 3 was: order and levels are functions of (seed, step)."""
    from phosphene.data.cache import prepare
    from phosphene.data.sources import find
    from phosphene.training.train import build
    from phosphene.training.workers import Workers

    data = prepare(find("digits"))
    trainer: Trainer = build(changed(wanted, {"data.size": 8}), data, torch.device("cpu"), Workers())
    trainer.step = 3
    rows = trainer.loader.batch(3)
    assert data.names[int(rows.numbers[5])] == named
    ratio = trainer.family.levels(trainer.batch(rows)).ratio[5]
    assert level == pytest.approx(float(ratio), rel=1e-3)


def two_workers(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What `phosphene` does as two gloo ranks of torchrun."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "phosphene"]
    return subprocess.run(
        [sys.executable, *torchrun, *map(str, words)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_batch_that_workers_do_not_divide_is_refused_before_anything_is_written(tmp_path):
    words = ["--images", "330", "--batch", "33", "--quiet", *small("training.accumulate=17")]
    done = two_workers("train", "digits", "--out", tmp_path / "r", *words)
    assert done.returncode != 0
    assert "phosphene: batch 33 does not divide into 2 workers: pass --batch 34 or" in done.stderr
    assert not (tmp_path / "r").exists()


def test_two_workers_are_one(tmp_path):
    """torchrun with two gloo ranks, a batch in parts: the weights of one process on the same global batch."""
    common = ["--images", "640", "--batch", "32", "--quiet", *small("data.flip=true", "data.held_out=0.1")]
    subprocess.run(
        command("train", "digits", "--out", tmp_path / "one", *common),
        env=environment(),
        check=True,
        capture_output=True,
    )
    parts = ["--set", "training.accumulate=3"]
    done = two_workers("train", "digits", "--out", tmp_path / "two", *common, *parts)
    assert done.returncode == 0, done.stderr
    first, second = (checkpoint.load(tmp_path / name / "state") for name in ("one", "two"))
    assert first.step == second.step == 20
    for name, value in first.tensors.items():
        torch.testing.assert_close(value, second.tensors[name], rtol=1e-3, atol=2e-5, msg=name)


def test_accumulation_does_not_change_the_gradient(tmp_path):
    """A batch in three uneven parts is the batch: levels, noise and hidden labels go by place."""
    from phosphene.data.cache import prepare
    from phosphene.data.sources import find
    from phosphene.training.train import build
    from phosphene.training.workers import Workers

    data, gradients = prepare(find("digits")), []
    for accumulate in (1, 3):
        wanted = recipe("training.batch=32", f"training.accumulate={accumulate}", "training.clip=1e9")
        trainer = build(changed(wanted, {"data.size": 8}), data, torch.device("cpu"), Workers())
        with torch.random.fork_rng():
            trainer.update()
        gradients.append([p.grad.clone() for p in trainer.network.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
