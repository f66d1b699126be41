"""A Chromium without a window, told what to do over a pipe (the Chrome DevTools Protocol); it needs no package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")

PATIENCE_SECONDS = 60.0
_WRAPPER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
"""The protocol's pipes are the descriptors 3 (commands) and 4 (answers and events)."""


def found() -> str | None:
    """Return the browser that is installed, as a path; None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One process, in which pages are opened one after the other."""

    def __init__(self, program: str, profile: Path) -> None:
        import fcntl

        ends = [*os.pipe(), *os.pipe()]
        # above what the wrapper lays into 3 and 4
        theirs_in, ours_out, ours_in, theirs_out = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends)
        for end in ends:
            os.close(end)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _WRAPPER,
                str(theirs_in),
                str(theirs_out),
                program,
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-renderer-backgrounding",
                "--disable-backgrounding-occluded-windows",
                "--no-first-run",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.ours_in, self.ours_out = ours_in, ours_out
        self.waiting = b""
        self.events: list[dict[str, Any]] = []
        self.number = 0

    def close(self) -> None:
        """End the browser and all that it has started."""
        os.close(self.ours_in)
        os.close(self.ours_out)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def call(self, method: str, session: str | None = None, /, **parameters: Any) -> dict[str, Any]:
        """Have the browser do something and return its answer; what happens meanwhile is kept in ``events``."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        view = json.dumps(message).encode("ascii") + b"\0"
        while view:
            view = view[os.write(self.ours_out, view) :]
        until = time.monotonic() + PATIENCE_SECONDS
        while (answer := self.next(until)).get("id") != self.number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def next(self, until: float) -> dict[str, Any]:
        """Return what the browser says next."""
        while b"\0" not in self.waiting:
            if not select.select([self.ours_in], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser says nothing")
            piece = os.read(self.ours_in, 1024**2)
            if not piece:
                raise RuntimeError("the browser has ended")
            self.waiting += piece
        line, _, self.waiting = self.waiting.partition(b"\0")
        return dict(json.loads(line))

    def open(self, file: Path, width: int, height: int = 900, scheme: str = "light") -> Page:
        """Open a file in a page of its own and wait until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.emulate("", scheme)
        page.call("Page.navigate", url=file.as_uri())
        until = time.monotonic() + PATIENCE_SECONDS
        while not page.told("Page.loadEventFired"):
            self.events.append(self.next(until))
        return page


class Page:
    """An open page."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self.browser, self.target, self.session = browser, target, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return the events of a kind that this page has had."""
        return [
            item["params"]
            for item in self.browser.events
            if item.get("sessionId") == self.session and item["method"] == method
        ]

    def emulate(self, media: str, scheme: str) -> None:
        """Show the page as on paper (``print``) or on a screen (empty), to somebody who likes it light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def ask(self, expression: str) -> Any:
        """Return what JavaScript says, which the policy of the page does not hold back; a promise is waited for."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        return done["result"].get("value")

    def screenshot(self, clip: dict[str, float] | None = None) -> bytes:
        """Return a PNG of what is seen, or of a part of the whole page."""
        self.call("Page.bringToFront")  # of a page behind another one the browser may never draw any
        part = {"clip": {**clip, "scale": 1}, "captureBeyondViewport": True} if clip else {}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **part)["data"])

    def printed(self) -> bytes:
        """Return the page as PDF, with its headings as bookmarks."""
        options = {"generateDocumentOutline": True, "generateTaggedPDF": True, "preferCSSPageSize": True}
        return base64.b64decode(self.call("Page.printToPDF", **options)["data"])

    def close(self) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)
