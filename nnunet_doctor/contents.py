"""The facts that tell what files hold, and which files: to be compared with those of another day."""

from __future__ import annotations

FILES = {
    "images": ("dataset.image_files", "dataset.image_bytes", "dataset.image_content"),
    "labels": ("dataset.label_files", "dataset.label_bytes", "dataset.label_content"),
    "stored": ("preprocessed.stored_files", "preprocessed.stored_bytes", "preprocessed.stored_content"),
}
"""Number, size and fingerprint of images, labels and preprocessed cases."""

SINGLE = {
    "json": "dataset.json_content",
    "copy": "preprocessed.json_content",
    "plans": "preprocessed.plans_content",
    "splits": "preprocessed.splits_content",
}
"""Fingerprint of each of the single files: dataset.json, its copy beside the plans, plans and splits."""

NAMES = (*(name for names in FILES.values() for name in names), *SINGLE.values())
