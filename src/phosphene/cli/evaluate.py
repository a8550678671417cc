"""`phosphene evaluate`, `report` and `compare`: a finished run measured, shown, compared."""

from pathlib import Path
from typing import Annotated

import typer

RUN = typer.Argument(help="A run's folder or name.", show_default=False)
Data = Annotated[
    Path | None, typer.Option(help="Where the run's pictures are now.", show_default="where they were")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(help="Threads of the CPU.", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


def evaluate(
    run: Annotated[str | None, RUN] = None,
    data: Data = None,
    count: Annotated[
        int | None, typer.Option(help="Samples.", show_default="100 to 1,000, by the network's size")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples, choices and draws.")] = 0,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="Features to compare on; again for more.", show_default="shipped, random-conv, dct-bands"
        ),
    ] = None,
    inception: Annotated[
        Path | None, typer.Option(help="Inception's weights, a file: FID and KID.", show_default=False)
    ] = None,
    dinov2: Annotated[
        Path | None, typer.Option(help="A folder of DINOv2: FD-DINOv2.", show_default=False)
    ] = None,
    clip: Annotated[Path | None, typer.Option(help="A folder of CLIP: CMMD.", show_default=False)] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="training, held-out or a folder.", show_default="held-out from 1,000 pictures on"),
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="See phosphene info solvers.", show_default="the recipe's")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps.", show_default="the recipe's")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How strongly the label counts.", show_default="the recipe's")
    ] = None,
    likelihood: Annotated[int, typer.Option(help="Held-out pictures for the ELBO; 0 for none.")] = 128,
    flow: Annotated[int, typer.Option(help="Held-out pictures for the ODE's bits; 0 for none.")] = 32,
    tolerance: Annotated[float, typer.Option(help="Of the ODE.")] = 1e-3,
    ema: Annotated[
        str | None,
        typer.Option(
            help="Length of the weights' average; all: each in turn.", show_default="the one shipped"
        ),
    ] = None,
    batch: Annotated[int, typer.Option(help="Pictures a network call.")] = 64,
    device: Device = "auto",
    threads: Threads = None,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    again: Annotated[
        Path | None,
        typer.Option(help="Compute this evaluation.json again and compare bit for bit.", show_default=False),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure a run: distances, precision, recall, bits per dimension, memorisation and more.

    Each figure has an interval and a floor, what real pictures reach. Ctrl-C leaves the run as it was.
    """
    from phosphene.cli import evaluating

    with evaluating.stoppable():
        if again is not None:
            if run is not None:
                raise ValueError(f"again {again}: it says which run it is of; leave RUN out")
            evaluating.again(again, data, not quiet)
            return
        if run is None:
            raise ValueError("RUN: give a run's folder or name (or --again evaluation.json)")
        evaluating.each(
            run,
            data=data,
            count=count,
            seed=seed,
            encoders=encoder,
            inception=inception,
            dinov2=dinov2,
            clip=clip,
            reference=reference,
            solver=solver,
            steps=steps,
            guidance=guidance,
            likelihood=likelihood,
            flow=flow,
            tolerance=tolerance,
            ema=ema,
            batch=batch,
            device=device,
            threads=threads,
            precision=precision,
            progress=not quiet,
            show=True,
        )


def report(
    run: Annotated[str, RUN],
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="The page.", show_default="RUN/report.html")] = None,
    watts: Annotated[
        float | None,
        typer.Option(help="Of the machine under load.", show_default="measured, else a usual value"),
    ] = None,
    price_kwh: Annotated[float, typer.Option(help="Price of a kilowatt-hour.")] = 0.30,
    price_hour: Annotated[float, typer.Option(help="Price of an hour of the machine.")] = 0.0,
    currency: Annotated[str, typer.Option(help="Its name.")] = "EUR",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Write a run's report: one page with samples, curves, figures, cost, and how to make it again."""
    from phosphene.cli import evaluating

    with evaluating.stoppable():
        evaluating.report(run, data, out, watts, price_kwh, price_hour, currency, device, threads)


def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Evaluated runs, or files evaluation*.json.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Also write a page.", show_default=False)] = None,
) -> None:
    """Compare runs on equal footing: same data, counts, seeds and encoders, or say why not."""
    from phosphene.cli import evaluating

    evaluating.compare(runs, out)
