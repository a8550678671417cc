"""Self-contained pages of HTML, with charts and pictures inside, for a screen, a phone and paper."""
