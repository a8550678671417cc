"""What trained models reach: `python -m bench.quality.text RUN SET`; of fast operators: `bench.quality`."""
