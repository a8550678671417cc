"""Cartoon faces with ten exact attributes, and captions in varied wording."""

from phosphene.data.made.faces.attributes import ATTRIBUTES, Face

__all__ = ["ATTRIBUTES", "Face"]
