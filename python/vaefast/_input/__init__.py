"""The path of users' data into the core: reading, checks and names."""
