"""`python -m phosphene`, and so `torchrun -m phosphene`."""

from phosphene.cli.main import main

main()
