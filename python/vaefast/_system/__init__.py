"""The interface to the machine: threads, files and versions."""
