"""Options that many commands have."""

from typing import Annotated

import typer

Threads = Annotated[int | None, typer.Option(help="Threads of the CPU.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[
    str | None, typer.Option(help="auto, fp32, bf16 or fp16.", show_default="auto: phosphene info machine")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
