"""Looks up which scanners a dataset comes from: a file scanners.csv beside dataset.json, one line for each case."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that facts.toml declares; what cannot be known is left out, or said to be unknown."""
    path = folder_of(request["dataset"]) / "scanners.csv"
    if not path.exists():
        return {"scanner.models": None, "scanner.without": None}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "scanner.models": sorted({row["model"] for row in rows if row["model"]}),
        "scanner.without": [{"subject": row["case"], "message": "no model"} for row in rows if not row["model"]],
    }


def folder_of(dataset: str | None) -> Path:
    """Return the folder of a dataset, which is named by its folder or by its name in nnUNet_raw."""
    named = Path(dataset or "nowhere")
    return named if named.is_dir() else Path(os.environ.get("nnUNet_raw", ".")) / named  # noqa: SIM112
