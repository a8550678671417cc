"""How a network is fitted: optimizers, averages of the weights, checkpoints, run folders, and their loop.

It never imports serving.
"""
