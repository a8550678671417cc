"""Encoders: from pictures to features, each with a name that says which weights it has."""
