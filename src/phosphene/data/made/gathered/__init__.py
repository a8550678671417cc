"""Sets made from others' work: fonts and wallpapers of Debian's packages, or of the user's folders."""
