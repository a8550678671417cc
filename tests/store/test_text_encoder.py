"""Text encoders: their states are those of transformers' own forward; the weights' hash says which one."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from phosphene.store import text_encoder
from phosphene.store.text_encoder import TextHeader, find, of_header
from tests import encoders

TEXTS = ["a red circle", "a blue star and a big green square", "circle", "the small star"]
CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["bert", "t5", "clip"])
def test_states_are_those_of_the_model_itself(kind: str, tmp_path: Path):
    model = getattr(encoders, kind)(tmp_path)
    encoder = find(str(tmp_path))
    assert (encoder.width, encoder.limit) == (encoders.WIDTH, encoders.LIMIT)
    states, mask = encoder.encode(TEXTS)
    assert mask.sum(1).tolist() == [5, 10, 3, 5]
    assert states.shape == (4, 10, encoders.WIDTH)
    tokenizer = encoders.tokenizer(tmp_path / "again")
    for text, row, counts in zip(TEXTS, states, mask, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            said = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        torch.testing.assert_close(row[counts], said, rtol=0, atol=2e-7)
        assert not row[~counts].any()


def test_a_text_alone_has_the_states_that_it_has_in_company(tmp_path: Path):
    encoders.bert(tmp_path)
    encoder = find(str(tmp_path))
    together = encoder.encode(TEXTS)
    for i, text in enumerate(TEXTS):
        alone, mask = encoder.encode([text])
        torch.testing.assert_close(together.states[i, : mask.shape[1]], alone[0], rtol=0, atol=2e-7)
    assert encoder.encode([]).states.shape == (0, 0, encoders.WIDTH)


def test_what_is_too_long_is_cut_in_training_and_refused_in_a_request(tmp_path: Path):
    encoders.bert(tmp_path)
    encoder = find(str(tmp_path))
    long = "a red circle and a blue star and a green square"
    states, mask = encoder.encode([long])
    assert mask.sum() == encoders.LIMIT
    # As if it had ended there: the token that ends a text is kept.
    assert torch.equal(states, encoder.encode(["a red circle and a blue star and a green"]).states)
    encoder.release()
    assert len(encoder.tokens([long])[0]) == 13
    assert "model" not in vars(encoder)  # counting tokens needs no network
    words = f"prompt '{long}': 13 tokens; the encoder {tmp_path} takes 12 at most"
    with pytest.raises(ValueError, match=re.escape(words)):
        encoder.refuse("prompt", ["a star", long])


def test_another_encoder_is_refused(tmp_path: Path):
    encoders.bert(tmp_path / "one")
    encoders.bert(tmp_path / "two", seed=5)
    one, two = (find(str(tmp_path / name)) for name in ("one", "two"))
    moved = shutil.copytree(tmp_path / "one", tmp_path / "moved")
    assert of_header(one.header, None, CPU) == one
    assert of_header(one.header, str(moved), CPU).fingerprint == one.fingerprint
    words = f"text {two.name}: its weights are {two.fingerprint[:12]}; this model was trained with "
    with pytest.raises(ValueError, match=re.escape(words + one.fingerprint[:12])):
        of_header(one.header, str(tmp_path / "two"), CPU)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def other_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))


def empty(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pickled, "no model.safetensors in"),
        (other_kind, "model_type 'gpt2'; accepted are bert, t5, clip, clip_text_model"),
        (empty, "no config.json to read"),
    ],
)
def test_folders_that_are_no_encoder(change, words: str, tmp_path: Path):
    encoders.bert(tmp_path)
    change(tmp_path)
    with pytest.raises(ValueError, match=f"^text {re.escape(str(tmp_path))}: {re.escape(words)}[^\n]*$"):
        find(str(tmp_path))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (
            "minilmm",
            "text 'minilmm': no such folder; accepted are minilm, none, a folder of transformers,",
        ),
        ("no-one/has-this", "text no-one/has-this: not in the hub's cache on this machine, and nothing is"),
    ],
)
def test_encoders_that_are_not_here(place: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=re.escape(words)):
        find(place)


def test_a_hub_name_is_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repository = tmp_path / "models--some-one--tiny-bert"
    encoders.bert(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    find.cache_clear()
    found = find("some-one/tiny-bert")
    assert found.folder == repository / "snapshots" / "abc"
    assert found.header == TextHeader(
        name="some-one/tiny-bert", fingerprint=found.fingerprint, width=encoders.WIDTH
    )


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_encoder, "find_spec", lambda name: None)
    find.cache_clear()
    assert not text_encoder.installed()
    with pytest.raises(ValueError, match=r"^text minilm: needs transformers, pip install [^\n]*$"):
        find("minilm")


def test_the_default_is_a_language_model_that_knows_what_words_mean():
    """Words never trained on lie by their meaning: why a frozen language model conditions pictures."""
    encoder = find(text_encoder.MINILM)
    assert (encoder.width, encoder.limit) == (384, 256)
    states, mask = encoder.encode(["a crimson disc", "a red circle", "a green square"])
    means = torch.stack([row[counts].mean(0) for row, counts in zip(states, mask, strict=True)])
    near, far = torch.cosine_similarity(means[:1], means[1:], dim=1).tolist()
    assert near > far + 0.1
