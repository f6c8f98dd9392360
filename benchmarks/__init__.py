"""Claims of speed, checked: see README.md."""
