"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import Installation, make_installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """nnU-Net 2.8.1 on torch 2.13.0+cpu, with Dataset010_Colon planned, preprocessed and ready to train in 2d."""
    return make_installation(tmp_path)
