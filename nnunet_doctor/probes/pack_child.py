"""Runs the probe of a pack and writes down what it says: ``python -I pack_child.py ORDER ANSWER``, both JSON files."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main(order: str, answer: str) -> None:
    """Call the function ``look`` of a module, and write its facts, or why there are none."""
    with open(order, encoding="utf-8") as file:  # noqa: PTH123 - nothing is imported that the probe does not need
        given = json.load(file)
    sys.path[:] = given["path"]
    module, _, function = given["probe"].partition(":")
    try:
        import importlib

        call = importlib.import_module(module.strip())
        for name in (function.strip() or "look").split("."):
            call = getattr(call, name)
        found = call(given["request"])  # type: ignore[operator]
        if not isinstance(found, dict):
            raise TypeError(f"look() gives {type(found).__name__}, and a dict of facts is wanted")  # noqa: TRY301
        text = json.dumps({"facts": found}, default=_plain)
    except Exception as error:  # noqa: BLE001 - whatever a probe raises is the reason of an unknown
        text = json.dumps({"error": f"{type(error).__name__}: {error}"})
    with open(answer, "w", encoding="utf-8") as file:  # noqa: PTH123 - likewise
        file.write(text)


def _plain(value: Any) -> Any:
    """Return what a probe is likely to say as JSON knows it: paths, sets, numbers of numpy."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


if __name__ == "__main__":
    main(*sys.argv[1:])
    # a thread or an exit handler that a probe leaves behind has nothing to say any more
    os._exit(0)
