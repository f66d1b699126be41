"""Fixtures of all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from made_up import Installation, make_installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """nnU-Net 2.8.1 on torch 2.13.0+cpu, with Dataset010_Colon planned, preprocessed and ready to train in 2d."""
    return make_installation(tmp_path)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be skipped: a test that does not run there proves nothing anywhere."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") and sys.platform == "linux" and skipped:
        reporter.write_line(f"{len(skipped)} skipped tests are failures in CI", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
