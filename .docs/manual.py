"""Writes the manual page anew, in both languages: ``python .docs/manual.py``."""

from __future__ import annotations

from pathlib import Path

from nnunet_doctor import arguments, manual

PAGES = {"en": "nnunet-doctor.1", "zh": "nnunet-doctor.zh.1"}

if __name__ == "__main__":
    for language, name in PAGES.items():
        page = manual.page(arguments.command_line(), language)
        Path(__file__).with_name(name).write_text(page, encoding="utf-8", newline="\n")
