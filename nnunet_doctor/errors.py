"""What goes wrong by the user's hand: one sentence, exit code 2, no traceback."""

from __future__ import annotations


class UserError(Exception):
    """Wrong use. The message is one sentence that says what is wrong, where, and what to do."""
