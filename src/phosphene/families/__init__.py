"""Model families. What the trainer and the generator know of each is one protocol."""
