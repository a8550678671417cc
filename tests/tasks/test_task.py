"""Conditions of training batches and of requests."""

from collections.abc import Sequence

import pytest
import torch

from phosphene.data.loader import Rows
from phosphene.diffusion.condition import NO_LABEL, Condition
from phosphene.diffusion.noise import Key, keys
from phosphene.tasks.request import NOTHING, Label, Request
from phosphene.tasks.task import Task

CATS = Task(("cat", "dog", "7"), drop=0.25)


def indices(condition: Condition) -> list[int]:
    assert condition.label is not None
    return condition.label.tolist()


def batch(labels: torch.Tensor) -> tuple[Rows, torch.Tensor, Key]:
    """A batch of these labels: its rows, its augmented pictures and its key."""
    count = len(labels)
    rows = Rows(torch.zeros(count, 1, 2, 2), labels, torch.arange(count), torch.arange(count))
    return rows, rows.values, keys(0, range(count))


def asked(task: Task, labels: Sequence[Label | None]) -> Condition:
    return task.asked([Request(label) for label in labels])


def test_without_classes_nothing_is_said():
    assert Task().training(*batch(torch.tensor([0, 1])), 0) == Condition()
    assert Task().asked([NOTHING, NOTHING]) == Condition()


def test_labels_by_name_and_by_index():
    assert indices(asked(CATS, ["dog", 0, None, "7", "1"])) == [1, 0, NO_LABEL, 2, 1]


def test_digits_are_called_by_their_names():
    digits = Task(tuple("0123456789"))
    assert indices(asked(digits, [3, "3"])) == [3, 3]


@pytest.mark.parametrize(
    ("label", "words"),
    [("dgo", "did you mean 'dog'"), (3, "labels are cat, dog, 7"), (-1, "labels are"), ("", "labels are")],
)
def test_a_label_that_does_not_exist(label, words):
    with pytest.raises(ValueError, match=words):
        asked(CATS, [label])


def test_a_label_of_a_model_without_any():
    with pytest.raises(ValueError, match="label 'cat': this model was trained without labels"):
        asked(Task(), ["cat"])


def test_hidden_labels_are_a_share_and_a_function_of_the_step():
    labels = torch.ones(20_000, dtype=torch.int64)
    one, again, other = (indices(CATS.training(*batch(labels), step)) for step in (5, 5, 6))
    assert one == again
    assert one != other
    assert one.count(NO_LABEL) / 20_000 == pytest.approx(0.25, abs=0.013)
    assert set(one) == {1, NO_LABEL}
