"""How a network is fitted: optimizers, averages of the weights, checkpoints, and the loop that uses them.

The trainer knows families only through their protocol, and never imports serving.
"""
