"""What is collected here depends on what there is: pages are tried in a browser where there is one."""

from __future__ import annotations

import shutil

collect_ignore = [] if shutil.which("chromium") else ["test_browser.py"]
