"""The mathematics of diffusion: levels, predictions, solvers, guidance, exact answers. PyTorch only.

Knows no pictures, files or tasks. Everything here is linear except the network.
"""
