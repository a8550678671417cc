"""Operators that torch does not have or has only slowly, each beside its twin in plain PyTorch."""
