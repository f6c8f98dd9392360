"""Benchmarks that check every claim of speed and memory; see README.md."""
