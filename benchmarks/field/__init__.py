"""vaefast beside other packages, task by task: `python -m benchmarks.field --help`."""
