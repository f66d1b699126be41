"""A pack is read as data; this proves it."""

raise RuntimeError("the code of a pack of checks must not run")
