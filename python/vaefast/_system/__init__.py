"""The machine that vaefast runs on: threads, files and versions."""
