"""What is to be typed next."""

import pytest

from phosphene.cli.show import next_of
from phosphene.recipes.settings import TaskSettings
from phosphene.recipes.tasks import EditingTask, InpaintingTask, NoTask


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (NoTask(), "phosphene sample m --adapter a -n 16"),
        (EditingTask(), "phosphene edit m --adapter a --image"),
        (InpaintingTask(), "phosphene inpaint m --adapter a --image"),
    ],
    ids=lambda one: getattr(one, "kind", None),
)
def test_a_model_is_asked_by_its_task(task: TaskSettings, words: str):
    assert next_of("m --adapter a", task, 16).startswith(words)
