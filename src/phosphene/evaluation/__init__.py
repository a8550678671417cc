"""How good a model is, in figures that mean what they say."""
