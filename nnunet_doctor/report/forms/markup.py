"""HTML and SVG as texts that know whether they are escaped already."""

from __future__ import annotations

import html
from collections.abc import Iterable

from nnunet_doctor.report.letters import visible


class Markup(str):
    """A text that is HTML."""

    __slots__ = ()


VOID = frozenset({"meta", "img", "br", "rect", "line", "path"})
"""Elements without content; those of SVG are closed by the same slash."""


def el(name: str, /, *children: str, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: Of the element.
        children: Texts, which are escaped, and markup, which is not.
        attributes: Their values; an underscore at the end is dropped, others become hyphens. None leaves one out,
            and True gives one without value.
    """
    words = [name]
    for key, value in attributes.items():
        written = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(written)
        elif value is not None:
            words.append(f'{written}="{escape(str(value))}"')
    if name in VOID:
        return Markup(f"<{' '.join(words)}/>")
    return Markup(f"<{' '.join(words)}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Return texts and markup one after the other."""
    return Markup("".join(item if isinstance(item, Markup) else escape(item) for item in children))


def escape(text: str) -> str:
    """Return a text as HTML shows it, with what cannot be seen written out."""
    return html.escape(visible(text))
