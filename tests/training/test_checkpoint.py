"""Checkpoints: exact, two of them, and never fooled by damage."""

import hashlib
import json
import math
import os
import pickle
import shutil
from pathlib import Path
from secrets import token_hex

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from phosphene.training.checkpoint import load, save
from tests.training.checkpoints import check, content, names, put

FILES = ("tensors.safetensors", "state.json")


def test_comes_back_exactly(tmp_path: Path):
    shared = torch.arange(12.0)
    tensors = {
        "float": torch.tensor([0.1, -0.0, math.inf, 1e-45]),
        "nan": torch.tensor([0x7FC00123], dtype=torch.int32).view(torch.float32),
        "double": torch.tensor(0.1, dtype=torch.float64),
        "half": torch.tensor([0.1], dtype=torch.float16),
        "brain": torch.tensor([[0.1]], dtype=torch.bfloat16),
        "long": torch.tensor([2**62 + 1]),
        "byte": torch.arange(256, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "also empty": torch.zeros(0),
        "turned": torch.arange(6.0).reshape(2, 3).mT,
        "last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "tied": shared,
        "to": shared,
        "part": shared[3:7],
        "learned": torch.nn.Parameter(torch.ones(2)),
    }
    facts = {
        "loss": [0.1, math.inf, 5e-324, 2**80],
        "name": 'Ä "\n\ud800',
        "none": None,
        "yes": True,
        "deep": {"b": {}, "a": [[]], "10": 1, "9": 2},
    }
    path = save(tmp_path / "run" / "state", 7, tensors, facts)
    found = load(tmp_path / "run" / "state")
    assert (path.name, found.step, found.facts, found.damaged) == ("step-00000007", 7, facts, ())
    assert list(found.facts["deep"]) == ["b", "a", "10", "9"]
    assert found.tensors.keys() == tensors.keys()
    for name, value in tensors.items():
        back = found.tensors[name]
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        assert back.contiguous().view(-1).view(torch.uint8).tolist() == (
            value.detach().contiguous().view(-1).view(torch.uint8).tolist()
        )


def test_nan_and_numbers_as_names_in_facts(tmp_path: Path):
    save(tmp_path, 1, {}, {"loss": math.nan, "by step": {10: "a", 9: "b"}, "pair": (1, 2)})
    found = load(tmp_path)
    assert math.isnan(found.facts.pop("loss"))
    assert found.facts == {"by step": {"10": "a", "9": "b"}, "pair": [1, 2]}
    assert found.tensors == {}


def test_on_disk(tmp_path: Path):
    put(tmp_path, 1234)
    assert names(tmp_path) == ["step-00001234"]
    folder = tmp_path / "step-00001234"
    assert names(folder) == ["state.json", "tensors.safetensors"]
    data = (folder / "tensors.safetensors").read_bytes()
    assert torch.equal(load_file(folder / "tensors.safetensors")["net/w"], content(1234)[0]["net/w"])
    state = json.loads((folder / "state.json").read_text())
    own = state.pop("sha256")
    assert state == {
        "step": 1234,
        "facts": {"seen": 8 * 1234},
        "tensors": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()},
    }
    assert own == hashlib.sha256(json.dumps(state).encode()).hexdigest()


def test_tensors_are_flushed_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flushed, fsync, rename = [], os.fsync, Path.rename

    def noted(handle: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def moved(self: Path, target: Path) -> Path:
        flushed.append(f"-> {Path(target).name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "rename", moved)
    put(tmp_path, 1)
    assert set(flushed[:2]) == set(FILES)
    assert flushed[3:] == ["-> step-00000001", tmp_path.name]


def test_newest_two_are_kept(tmp_path: Path):
    for step in (5, 10, 15, 99_999_999, 100_000_000):
        put(tmp_path, step)
    assert names(tmp_path) == ["step-100000000", "step-99999999"]
    assert check(tmp_path, 100_000_000) == ()


def test_leftovers_go_and_others_stay(tmp_path: Path):
    (tmp_path / ".writing-step-00000003-abcd").mkdir()
    (tmp_path / ".writing-step-00000003-abcd" / "tensors.safetensors").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-last").mkdir()
    put(tmp_path, 1)
    assert names(tmp_path) == ["notes.txt", "step-00000001", "step-last"]


def test_the_same_step_is_replaced(tmp_path: Path):
    put(tmp_path, 1)
    save(tmp_path, 2, {"other": torch.zeros(1)}, {})
    put(tmp_path, 2)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]
    assert check(tmp_path, 2) == ()


def test_replaced_one_counts_if_the_kill_came_between(tmp_path: Path):
    put(tmp_path, 1, 2)
    (tmp_path / "step-00000002").rename(tmp_path / "step-00000002.old")
    assert check(tmp_path, 2) == ()
    put(tmp_path, 3)
    assert names(tmp_path) == ["step-00000002.old", "step-00000003"]
    # Killed after the second rename: the former goes, whoever it was.
    shutil.copytree(tmp_path / "step-00000003", tmp_path / "step-00000003.old")
    put(tmp_path, 4)
    assert names(tmp_path) == ["step-00000003", "step-00000004"]


def test_incomplete_ones_are_not_counted(tmp_path: Path):
    put(tmp_path, 1, 2)
    (tmp_path / "step-00000002" / "tensors.safetensors").write_bytes(b"")
    put(tmp_path, 3)
    assert names(tmp_path) == ["step-00000001", "step-00000003"]


def test_later_ones_are_neither_counted_nor_removed(tmp_path: Path):
    put(tmp_path, 1, 9)
    flip(tmp_path / "step-00000009" / "tensors.safetensors", -1, 0)
    (damaged,) = check(tmp_path, 1)
    assert damaged == ("step-00000009", "tensors.safetensors does not match its SHA-256")
    put(tmp_path, 2, 3)
    assert names(tmp_path) == ["step-00000002", "step-00000003", "step-00000009"]
    put(tmp_path, 9, 10)
    assert names(tmp_path) == ["step-00000009", "step-00000010"]
    assert check(tmp_path, 10) == ()


def flip(path: Path, byte: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    put(folder, 1, 2)
    return folder


def copied(pair: Path) -> Path:
    target = pair.parent / f"copy-{token_hex(8)}"
    shutil.copytree(pair, target)
    return target


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere(pair: Path, file: str, share: float):
    folder = copied(pair)
    path = folder / "step-00000002" / file
    size = path.stat().st_size
    os.truncate(path, int(share * size))
    ((name, reason),) = check(folder, 1)
    assert name == "step-00000002"
    assert reason == (
        f"tensors.safetensors has {int(share * size)} bytes, not {size}"
        if file == "tensors.safetensors"
        else "state.json is not whole"
    )
    shutil.rmtree(folder)


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=150, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_bit_flipped(pair: Path, file: str, share: float, bit: int):
    folder = copied(pair)
    path = folder / "step-00000002" / file
    place = int(share * path.stat().st_size)
    space = path.read_bytes()[place : place + 1] in b" \n"
    flip(path, place, bit)
    if space and file == "state.json":  # a blank that became another one changes nothing
        assert load(folder).step in {1, 2}
    else:
        ((name, reason),) = check(folder, 1)
        assert name == "step-00000002"
        assert reason.startswith(file)
        assert "\n" not in reason
    shutil.rmtree(folder)


def test_both_damaged_is_one_line_that_says_so(tmp_path: Path):
    put(tmp_path, 1, 2)
    (tmp_path / "step-00000001" / "state.json").unlink()
    (tmp_path / "step-00000002" / "tensors.safetensors").unlink()
    with pytest.raises(ValueError, match="no checkpoint") as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has no checkpoint to resume from; "
        "step-00000002 is damaged: tensors.safetensors: No such file or directory; "
        "step-00000001 is damaged: state.json: No such file or directory"
    )


def test_nothing_to_load(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match="no checkpoint") as caught:
            load(folder)
        assert str(caught.value) == f"{folder} has no checkpoint to resume from"


@pytest.mark.parametrize(
    "text", ["[]", "3", "{}", '{"sha256": null}', '{"step": 2, "sha256": "0"}', "\xff", "nul"]
)
def test_other_files_named_state(tmp_path: Path, text: str):
    put(tmp_path, 1, 2)
    (tmp_path / "step-00000002" / "state.json").write_text(text, encoding="latin-1")
    ((_, reason),) = check(tmp_path, 1)
    assert reason in {"state.json is not whole", "state.json does not match its SHA-256"}


def test_renamed_folder_is_not_another_step(tmp_path: Path):
    put(tmp_path, 1, 2)
    (tmp_path / "step-00000002").rename(tmp_path / "step-00000003")
    assert check(tmp_path, 1) == (("step-00000003", "state.json is of step 2"),)


class Trap:
    def __reduce__(self):
        return Path.touch, (Path(os.environ["TRAP"]),)


def test_reading_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Even when every hash is right, a pickle is only bytes that are no safetensors."""
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    put(tmp_path / "state", 1)
    folder = tmp_path / "state" / "step-00000001"
    data = pickle.dumps(Trap())
    (folder / "tensors.safetensors").write_bytes(data)
    state = {
        "step": 1,
        "facts": {},
        "tensors": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()},
    }
    own = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    (folder / "state.json").write_text(json.dumps({**state, "sha256": own}))
    with pytest.raises(ValueError, match="step-00000001 is damaged: Error while deserializing"):
        load(tmp_path / "state")
    assert not (tmp_path / "sprung").exists()
