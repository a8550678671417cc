"""Lessons: pages on how diffusion works, whose pictures, numbers and claims are made while they are read.

A lesson is a script in texts/, in cells. `phosphene explain` runs it and writes a page; docs/lessons holds
the same cells as notebooks; the tests run both and see that every claim holds.
"""

from phosphene.lessons.shown import claim, show

__all__ = ["claim", "show"]
