"""The steps of the Dockerfile, run in a folder in place of `/opt`: what they make serves, as one who owns nothing."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from .front import free_port
from .test_files import ROOT, instructions

pytestmark = [
    pytest.mark.skipif("CHATPORT_DEPLOY" not in os.environ, reason="make test-deploy runs it"),
    pytest.mark.timeout(400),
]

CONFIG = """
[aliases]
main = ["local:auto"]
[gateway]
key_hashes = ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
[team]
folder = "STATE"
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do what the first stage does, and return the folder that stands for `/opt`."""
    folder = tmp_path_factory.mktemp("image")
    for part in (folder, *folder.parents):
        if part.owner() == pwd.getpwuid(os.getuid()).pw_name and part != Path("/") and part != Path("/tmp"):
            part.chmod(0o755)  # somebody else is to run what is made here
    source, opt = folder / "src", folder / "opt"
    source.mkdir()
    opt.mkdir()
    stage = 0
    for name, text in instructions():
        stage += name == "FROM"
        if stage > 1:
            break
        if name == "COPY":
            *names, target = text.split()
            for copied in names:
                is_file = (ROOT / copied).is_file()
                _copy(ROOT / copied, source / target / Path(copied).name if is_file else source / target)
        elif name == "RUN":
            steps = text.replace("python -m venv --without-pip", f"{_readable_python()} -m venv --without-pip")
            steps = steps.replace("python -m venv /opt/build", f"{sys.executable} -m venv /opt/build")
            steps = steps.replace("/opt/", f"{opt}/")
            done = subprocess.run(["sh", "-ec", steps], cwd=source, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{steps}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return opt


def _readable_python() -> str:
    """Return a Python that others may run too, if there is one."""
    system = Path("/usr/bin/python3")
    return str(system) if system.exists() else sys.executable


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    else:
        shutil.copy(source, target)


def test_what_it_makes_serves_as_somebody_else_and_writes_nothing_but_its_state(image: Path, tmp_path: Path) -> None:
    others: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": ()} if os.geteuid() == 0 else {}
    state = image.parent / "state"
    state.mkdir()
    if others:
        os.chown(state, 65534, 65534)
    port = free_port()
    config = image.parent / "chatport.toml"
    config.write_text(CONFIG.replace("STATE", str(state)))
    before = {path: path.stat().st_mtime_ns for path in image.rglob("*") if not path.is_symlink()}
    environment = {
        "PATH": f"{image}/chatport/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
    }
    run: dict[str, Any] = {"cwd": state, "env": environment, **others}
    made = subprocess.run(
        ["chatport", "gateway", "keys", "create", "me"], check=False, capture_output=True, text=True,
        **{**run, "env": {**environment, "CHATPORT_CONFIG": str(config)}},
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    command = ["chatport", "serve", "--config", str(config), "--host", "0.0.0.0", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **run)
    try:
        deadline = time.monotonic() + 90
        healthy = next(text for name, text in instructions() if name == "HEALTHCHECK")
        check = healthy.partition('"-c",')[2].strip(' "]').replace("4000", str(port))
        while subprocess.run(
            [f"{image}/chatport/bin/python", "-c", check], capture_output=True, check=False
        ).returncode:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        models = httpx.get(f"http://127.0.0.1:{port}/v1/models")
        assert models.status_code == 401
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
        assert "Traceback" not in said
    finally:
        process.kill()
        process.wait()
    assert before == {path: path.stat().st_mtime_ns for path in image.rglob("*") if not path.is_symlink()}
