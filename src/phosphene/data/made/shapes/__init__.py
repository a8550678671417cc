"""Captioned scenes of coloured shapes, and an oracle that reads them back from pixels."""
