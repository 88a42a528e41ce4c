"""A certificate for 127.0.0.1, made anew for each run, that only this run's processes trust."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["make_certificate"]


def make_certificate(folder: Path) -> tuple[Path, Path] | None:
    """Return a certificate and its key, or None where there is no `openssl` program to make them."""
    program = shutil.which("openssl")
    if program is None:
        return None
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    wanted = ["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    done = subprocess.run(
        [program, *wanted, *names, "-keyout", str(key), "-out", str(certificate)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"openssl could not make a certificate:\n{done.stderr}")
    return certificate, key
