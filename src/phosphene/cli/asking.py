"""The options that every command has which asks a model for pictures, and what is done with them, once."""

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from phosphene.cli.shared import Device, Precision, Quiet, Threads

if TYPE_CHECKING:
    from phosphene.families.generator import Generator
    from phosphene.families.options import Options
    from phosphene.families.sampled import Sampled

T = TypeVar("T")

LOADING = ("device", "ema", "precision", "best", "text", "adapters")
BESIDE = ("out", "threads", "quiet")

BestOf = Annotated[
    int | None, typer.Option(help="Candidates a picture; --ranker keeps one.", show_default=False)
]
Ranker = Annotated[str | None, typer.Option(help="A CLIP that ranks by the prompt.", show_default=False)]
Scorer = Annotated[
    str | None, typer.Option(help="Another CLIP that scores what was kept.", show_default=False)
]
Clip = Annotated[str | None, typer.Option(help="A CLIP that leads towards the prompt.", show_default=False)]
ClipStrength = Annotated[float | None, typer.Option(help="How strongly --clip leads.", show_default="100")]

RUN = typer.Argument(help="A run's folder or name, or a model folder.", show_default=False)


def _options(
    seed: Annotated[
        int | None, typer.Option(help="Picture i depends on (seed, i) alone.", show_default="0")
    ] = None,
    first: Annotated[int | None, typer.Option(help="Number of the first picture.", show_default="0")] = None,
    solver: Annotated[
        str | None, typer.Option(help="See phosphene info solvers.", show_default="the recipe's")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps.", show_default="the recipe's")] = None,
    grid: Annotated[
        str | None, typer.Option(help="See phosphene info schedules.", show_default="the recipe's")
    ] = None,
    eta: Annotated[
        float | None, typer.Option(help="Share of fresh noise.", show_default="the solver's")
    ] = None,
    churn: Annotated[float | None, typer.Option(help="Heun's S_churn.", show_default="the solver's")] = None,
    guidance: Annotated[
        list[float] | None,
        typer.Option(help="How strongly it counts; several times, in turn.", show_default="the recipe's"),
    ] = None,
    interval: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Guide only at these sigma / alpha.", show_default="everywhere"),
    ] = None,
    weaker: Annotated[
        str | None,
        typer.Option(help="Guide away from this run, or average (0.05).", show_default="from no prompt"),
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(help="none, clip or dynamic.", show_default="the recipe's")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a network call.", show_default="64")] = None,
    trajectory: Annotated[bool, typer.Option("--trajectory", help="Also write the way from noise.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to.", show_default="a new folder in RUN/samples")
    ] = None,
    ema: Annotated[
        float | None, typer.Option(help="Length of the weights' average.", show_default="the one shipped")
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The model that measured best in training, not the last.")
    ] = False,
    text: Annotated[
        str | None, typer.Option(help="Where its text encoder is now.", show_default="where it was")
    ] = None,
    adapters: Annotated[
        list[str] | None,
        typer.Option(
            "--adapter", help="Of phosphene adapt, PLACE or PLACE:0.5; several add up.", show_default="none"
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = None,
    quiet: Quiet = False,
) -> None:
    """Declares them."""


DECLARED = inspect.signature(_options).parameters


@dataclass(frozen=True)
class Asking:
    """What the options said."""

    said: dict[str, Any]

    def load(self, run: str | None, like: Path | None = None) -> "Generator":
        """The model that is asked: of a run, or the one that made a picture."""
        from phosphene.families import generator, maker
        from phosphene.families.adapting import parsed
        from phosphene.families.device import use_threads

        use_threads(self.said["threads"])
        loading = {name: self.said[name] for name in LOADING if self.said[name] is not None}
        if "adapters" in loading:
            loading["adapters"] = parsed(loading["adapters"])
        with plainly_warned():
            if run is not None:
                return generator.load(run, **loading)
            if like is None:
                raise ValueError(
                    "RUN: give a run's folder, its name or a model folder (or --like PICTURE.png)"
                )
            del loading["best"]  # the picture says which
            return maker.load_like(like, **loading)

    def make(self, asked: "Generator", count: int, question: "Callable[[Options], Sampled]") -> None:
        """Asks for so many pictures with a bar of progress, saves them and says where."""
        from phosphene.cli import show
        from phosphene.families.axes import length_or_place
        from phosphene.families.generator import fresh_folder

        how = {name: value for name, value in self.said.items() if name not in (*LOADING, *BESIDE)}
        how["guidance"] = in_turn(how["guidance"], count)
        if how["weaker"] is not None:
            how["weaker"] = length_or_place(how["weaker"])
        if self.said["out"] is not None:
            show.check_out(self.said["out"], how["trajectory"])
        with plainly_warned(), show.sampling(self.said["quiet"]) as watch:
            pictures = question(cast("Options", {**how, "watch": watch}))
        written = pictures.save(self.said["out"] or fresh_folder(asked, pictures))
        show.written(written)
        told = ("best_of", "ranker_model", "scorer_model")
        by = {tuple(said.get(name) for name in told) for said in pictures.settings}
        if len(by) == 1 and "best_of" in pictures.settings[0]:
            show.ranked(pictures, written[0].parent)


@contextmanager
def plainly_warned() -> Iterator[None]:
    """Warnings of adapters are one line on stderr."""
    from phosphene.families.adapting import AnotherBase

    with warnings.catch_warnings():
        warnings.simplefilter("always", AnotherBase)
        warnings.showwarning = lambda message, *_, **__: print(f"phosphene: {message}", file=sys.stderr)
        yield


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """A command with these options behind its own, which it gets as its last argument, an `Asking`."""
    *own, _ = inspect.signature(command).parameters.values()
    behind = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in DECLARED.values()]
    signature = inspect.Signature([*own, *behind])

    @wraps(command)
    def whole(**given: Any) -> None:
        asked = Asking({name: given.pop(name) for name in DECLARED})
        command(**{one.name: given[one.name] for one in own}, asked=asked)

    whole.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    whole.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
    return whole


def in_turn(given: list[T] | None, count: int) -> T | list[T] | None:
    """What an option says of each picture: one for all, or those given in turn."""
    if not given:
        return None
    return given[0] if len(given) == 1 else [given[i % len(given)] for i in range(count)]
