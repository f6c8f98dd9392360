"""Users' data on their way into the core: read, checked, named."""
