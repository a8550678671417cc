"""Captions of training pictures and prompts of requests are one and the same condition."""

import numpy as np
import pytest
import torch

from phosphene.data import states
from phosphene.data.captions import collect
from phosphene.data.loader import Rows
from phosphene.diffusion.condition import NO_LABEL, Condition
from phosphene.diffusion.noise import keys
from phosphene.store.text_encoder import find
from phosphene.tasks.request import NOTHING, Request
from phosphene.tasks.task import Task
from phosphene.tasks.text import Captioned, Text
from tests import encoders

CAPTIONS = [
    ("a red circle",),
    (),
    ("a blue star", "the star", "a small star"),
    ("a big green square and a star",),
]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = tmp_path_factory.mktemp("bert")
    encoders.bert(folder)
    encoder, found = find(str(folder)), collect(CAPTIONS)
    captioned = Captioned(found, states.prepare(encoder, found.texts))
    return Task(("cat", "dog"), 0.25, Text(encoder.width, lambda: encoder), captioned)


def rows(numbers: list[int]) -> Rows:
    count = len(numbers)
    labels = torch.zeros(count, dtype=torch.int64)
    return Rows(torch.zeros(count, 1, 2, 2), labels, torch.tensor(numbers), torch.arange(count))


def assert_same(one: Condition, other: Condition) -> None:
    for name in ("label", "tokens", "mask"):
        left, right = getattr(one, name), getattr(other, name)
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-3)  # a float16's last bit


def test_what_is_trained_with_is_what_is_asked_with(task: Task):
    batch = rows([3, 1, 0, 2])
    told = task.known(batch, keys(0, range(4)))
    prompts = ["a big green square and a star", None, "a red circle", "a blue star"]
    assert_same(told, task.asked([Request("cat", prompt) for prompt in prompts]))
    assert told.tokens is not None
    assert told.tokens.dtype == torch.float32
    without = Task(task.classes, 0.0, task.text, task.captioned)
    batch = rows([3, 1, 0])
    assert_same(
        without.training(batch, batch.values, keys(0, range(3)), 7),
        task.asked([Request("cat", prompt) for prompt in prompts[:3]]),
    )


def test_label_and_text_are_hidden_together_by_step(task: Task):
    count = 8000
    batch = rows([0] * count)

    def masks(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        said = task.training(batch, batch.values, keys(0, range(count)), step)
        assert said.mask is not None
        assert said.label is not None
        return said.mask.any(1), said.label != NO_LABEL

    words, labels = masks(3)
    assert torch.equal(words, labels)
    assert torch.equal(words, masks(3)[0])
    assert not torch.equal(words, masks(4)[0])
    assert 1 - float(words.double().mean()) == pytest.approx(0.25, abs=0.015)


def test_each_of_several_captions_is_told_in_its_turn(task: Task):
    count = 6000
    batch = rows([2] * count)
    still = Task(task.classes, 0.0, task.text, task.captioned)
    said = still.training(batch, batch.values, keys(1, range(count)), 0)
    again = still.training(batch, batch.values, keys(1, range(count)), 0)
    other = still.training(batch, batch.values, keys(1, range(count)), 1)
    assert said.tokens is not None
    assert again.tokens is not None
    assert other.tokens is not None
    assert torch.equal(said.tokens, again.tokens)
    assert not torch.equal(said.tokens, other.tokens)
    each, counts = np.unique(said.tokens.flatten(1).numpy(), axis=0, return_counts=True)
    assert len(each) == 3
    np.testing.assert_allclose(counts / count, 1 / 3, atol=0.025)


def test_nothing_asked_needs_no_encoder():
    def unfound():
        raise AssertionError

    said = Task(text=Text(8, unfound)).asked([NOTHING, NOTHING])
    assert said.mask is not None
    assert not said.mask.any()
    assert Task(text=Text(8, unfound)).compared([NOTHING], said) is None


def test_a_negative_prompt_stands_where_the_null_stood(task: Task):
    requests = [Request("dog", "a red circle", "a blue star"), Request(1, "a star")]
    condition = task.asked(requests)
    against = task.compared(requests, condition)
    assert against is not None
    assert_same(against, task.asked([Request(None, "a blue star"), NOTHING]))


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Request(prompt=" "), "prompt ' ': no words; leave it out to ask for nothing"),
        (Request(prompt="a " * 11), "13 tokens; the encoder .* takes 12 at most"),
        (Request("cow"), "label 'cow': .*labels are cat, dog"),
    ],
)
def test_what_cannot_be_asked(task: Task, wish: Request, words: str):
    with pytest.raises(ValueError, match=words):
        task.asked([wish])


def test_a_model_without_text_says_what_it_takes():
    words = r"prompt 'a cat': this model was trained without captions; "
    with pytest.raises(ValueError, match=words + r"it takes a label \(cat, dog\)"):
        Task(("cat", "dog")).asked([Request(prompt="a cat")])
    with pytest.raises(ValueError, match=words + "leave it out"):
        Task().asked([Request(prompt="a cat")])
