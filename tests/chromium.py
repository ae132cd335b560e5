"""Pages in headless Chromium, driven over a pipe by the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",  # reads commands from descriptor 3, writes answers to 4
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # which root and containers lack; the pages are our own
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other machine is reached
)
# Give the two descriptors their numbers, then become Chromium.
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3), os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
TEXT = """
(() => {
  const parts = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) parts.push(node.data.trim());
    if (node.nodeType === Node.ELEMENT_NODE) {
      if (["NOSCRIPT", "SCRIPT", "STYLE", "TEMPLATE"].includes(node.tagName)) return;
      if (getComputedStyle(node).display === "none") return;
      if (node.shadowRoot) walk(node.shadowRoot);
    }
    node.childNodes.forEach(walk);
  };
  walk(document.body);
  return parts.filter(Boolean).join("\\n");
})()
"""


class Page:
    """A page in a Chromium of its own; use it in a ``with`` statement.

    Attributes:
        errors: what scripts threw or logged as errors, and what could not be loaded.
        requests: the addresses that were requested, except ``data:``.
    """

    def __init__(self, profile: Path, timeout: float = 120) -> None:
        self.timeout, self.count, self.received, self.session = timeout, 0, b"", ""
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.loaded = False
        ends = [os.pipe(), os.pipe()]
        # above 4, so that giving one its number does not close the other
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (ends[0][0], ends[1][1])]
        self.output, self.input = ends[0][1], ends[1][0]
        options = [*OPTIONS, f"--user-data-dir={profile}"]
        command = [sys.executable, "-c", START, *map(str, theirs), PROGRAM, *options, "about:blank"]
        self.log = profile.with_suffix(".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, pass_fds=theirs, stdout=log, stderr=log)
        for descriptor in (ends[0][0], ends[1][1], *theirs):
            os.close(descriptor)

    def __enter__(self) -> Page:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.output)  # Chromium ends when its pipe is closed
        os.close(self.input)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        self.count += 1
        message: dict[str, Any] = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.count:
            self.note(answer.get("method", ""), answer.get("params", {}))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receive(self) -> dict[str, Any]:
        """Return the next message, an answer or an event."""
        while b"\0" not in self.received:
            if not select.select([self.input], [], [], self.timeout)[0]:
                raise TimeoutError(f"Chromium sent nothing for {self.timeout} seconds")
            if not (data := os.read(self.input, 1 << 16)):
                raise ConnectionError(f"Chromium has ended: {self.log.read_text()[-1000:]}")
            self.received += data
        message, self.received = self.received.split(b"\0", 1)
        return json.loads(message)

    def note(self, event: str, data: dict[str, Any]) -> None:
        """Keep what an event says about errors and requests."""
        if event == "Page.loadEventFired":
            self.loaded = True
        elif event == "Runtime.exceptionThrown":
            details = data["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Runtime.consoleAPICalled" and data["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(a.get("value", a)) for a in data["args"]))
        elif event == "Log.entryAdded" and data["entry"]["level"] == "error":
            self.errors.append(f"{data['entry']['text']} {data['entry'].get('url', '')}")
        elif event == "Network.requestWillBeSent":
            self.requests += [url for url in [data["request"]["url"]] if url[:5] != "data:"]

    def open(self, url: str) -> None:
        """Open an address, and return when the page and its files are loaded."""
        self.loaded = False
        found = self.call("Page.navigate", url=url)
        if "errorText" in found:
            raise OSError(f"{url}: {found['errorText']}")
        while not self.loaded:
            answer = self.receive()
            self.note(answer.get("method", ""), answer.get("params", {}))

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        options = dict(returnByValue=True, awaitPromise=True)
        answer = self.call("Runtime.evaluate", expression=script, **options)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self) -> str:
        """Return the text of the page that is not hidden, that of web components included."""
        return self.evaluate(TEXT)

    def wait_for(self, script: str) -> Any:
        """Evaluate an expression until it is true; return its value."""
        end = time.monotonic() + self.timeout
        while not (value := self.evaluate(script)):
            if time.monotonic() > end:
                raise TimeoutError(f"not true within {self.timeout} seconds: {script}")
            time.sleep(0.1)
        return value

    def wait_for_text(self, *parts: str) -> None:
        """Return when the page shows all of these lines."""
        end, missing = time.monotonic() + self.timeout, set(parts)
        while missing := missing.difference(self.text().splitlines()):
            if time.monotonic() > end:
                raise TimeoutError(f"not shown within {self.timeout} seconds: {sorted(missing)}")
            time.sleep(0.1)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Set the size of the window, and the colours that the reader prefers."""
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setDeviceMetricsOverride", **size)
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[colours])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write a PNG of the window, or of the whole page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))
