"""Side by side with peers: each module is one command, such as `python -m bench.forward`."""
