"""A real Chromium, by the few requests of WebDriver that the tests need. Both come from the distribution."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

__all__ = ["KEYS", "Browser", "chromium", "missing"]

KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Right": "\ue014", "Left": "\ue012", "Shift": "\ue008"}
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--no-default-browser-check", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


def missing() -> str | None:
    """Return what is missing for it, None if nothing is."""
    if shutil.which("chromedriver") is None:
        return "chromedriver is not installed (Debian: chromium-driver)"
    return None if _program() else "Chromium is not installed"


def _program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One window. `run` has a script of the page's give a value; `press` is the keyboard."""

    def __init__(self, driver: httpx.Client, session: str) -> None:
        self._driver, self._session = driver, f"/session/{session}"
        self.requested: list[str] = []

    def _ask(self, path: str, **body: Any) -> Any:
        answer = self._driver.post(f"{self._session}{path}", json=body).json()["value"]
        if isinstance(answer, dict) and "error" in answer and "stacktrace" in answer:
            raise AssertionError(f"{path}: {answer['message']}")
        return answer

    def open(self, url: str) -> None:
        """Go to an address, and wait until all of it is there."""
        self._ask("/url", url=url)

    def run(self, script: str, *given: Any) -> Any:
        """Return what a function body returns; the values given are its `arguments`."""
        return self._ask("/execute/sync", script=script, args=list(given))

    def wait(self, script: str, *given: Any, seconds: float = 15.0) -> Any:
        """Return what an expression is as soon as it is true. Raises AssertionError if it does not become so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := self.run(f"return {script}", *given):
                return value
            time.sleep(0.02)
        raise AssertionError(f"never so: {script}\n{self.run('return document.body.innerText')[:2000]}")

    def press(self, *keys: str) -> None:
        """Press keys one after the other: names of `KEYS`, or texts, letter by letter."""
        letters = [letter for key in keys for letter in ([KEYS[key]] if key in KEYS else key)]
        actions = [{"type": kind, "value": letter} for letter in letters for kind in ("keyDown", "keyUp")]
        self._ask("/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def screen(self, *, width: int, height: int = 800, dark: bool = False, mobile: bool = False) -> None:
        """Make the screen so wide, and light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self._devtools("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._devtools("Emulation.setEmulatedMedia", features=features)

    def picture(self, path: Path) -> None:
        """Write what is seen into a file, for a person to look at."""
        taken = self._devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _devtools(self, command: str, **given: Any) -> Any:
        return self._ask("/goog/cdp/execute", cmd=command, params=given)

    def problems(self) -> list[str]:
        """Return what the console has of errors and warnings since this was last asked."""
        logged = self._ask("/se/log", type="browser")
        return [entry["message"] for entry in logged if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """Return the address of each request since this was last asked."""
        found = []
        for entry in self._ask("/se/log", type="performance"):
            message: Mapping[str, Any] = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Run a Chromium that knows nothing and reaches nothing but this machine, until the block is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    options = {"binary": _program(), "args": [*_FLAGS, f"--user-data-dir={folder}"]}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            _wait_for(client)
            made = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
            assert "sessionId" in made, made
            try:
                yield Browser(client, made["sessionId"])
            finally:
                client.delete(f"/session/{made['sessionId']}")
    finally:
        driver.terminate()
        driver.wait(10)


def _wait_for(client: httpx.Client) -> None:
    for _ in range(500):
        try:
            client.get("/status")
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("chromedriver does not answer")
