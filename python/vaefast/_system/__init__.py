"""The machine below: threads, files and versions."""
