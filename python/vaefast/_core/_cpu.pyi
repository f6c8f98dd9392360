SUPPORTED: tuple[str, ...]
