"""Complete settings of known-good runs, each with what it reached. Plain data: no torch here."""
