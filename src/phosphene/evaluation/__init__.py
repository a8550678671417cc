"""A finished run measured, compared and reported."""
