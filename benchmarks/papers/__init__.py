"""Published results, reproduced: `python -m benchmarks.papers --help`."""
