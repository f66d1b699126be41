r"""Letters that a text may hold and nobody can see: a file name with ``\x1b[2J`` in it would clear the screen."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""Write out what cannot be seen, turns the line round, or is in no encoding: ``\x1b``, ``\u202e``, ``\udcff``."""
    return _UNSEEN.sub(lambda found: _escape(ord(found[0])), text)


def visible_name(name: str) -> str:
    r"""Return a name that takes one line: a line break in it is written ``\n``."""
    return visible(name.replace("\n", "\\n").replace("\t", "\\t"))


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
