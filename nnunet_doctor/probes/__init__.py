"""How facts are looked up: one module per area; the only readers of the machine.

A probe has no opinion. It returns what it saw; what it cannot see is an unknown with the reason.
"""
