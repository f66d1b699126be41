"""Looks up which scanners a dataset comes from: a file scanners.csv beside dataset.json, one line for each case."""

import csv
from pathlib import Path


def look(request):
    """Return the facts that facts.toml declares; None is what does not apply."""
    path = Path(request["folder"], "scanners.csv") if request["folder"] else None
    if path is None or not path.exists():
        return {"scanner.models": None, "scanner.without": None}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "scanner.models": sorted({row["model"] for row in rows if row["model"]}),
        "scanner.without": [{"subject": row["case"], "message": "no model"} for row in rows if not row["model"]],
    }
