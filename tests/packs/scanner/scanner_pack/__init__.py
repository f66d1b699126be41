"""A pack with a probe."""
