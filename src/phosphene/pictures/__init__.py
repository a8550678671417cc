"""Picture files and pixels: opened safely, brought to one size, shown to people. Knows no models."""
