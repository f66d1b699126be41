"""Writes the manual page anew: ``python .docs/manual.py``."""

from __future__ import annotations

from pathlib import Path

from nnunet_doctor import cli, manual

if __name__ == "__main__":
    page = manual.page(cli._parser())
    Path(__file__).with_name("nnunet-doctor.1").write_text(page, encoding="utf-8", newline="\n")
