"""Data that is made here, by code: pictures whose captions, labels and facts are exactly known."""
