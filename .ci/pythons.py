"""Run the tests on each Python found on this machine, 3.11 and newer, each in an environment of its own.

Looked for are `python3.11` to `python3.14` on the PATH, and what pyenv keeps. The environments are in `.venv/pythons`,
but for the version that `.venv` itself has. Arguments are handed on to pytest.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def candidates(version: str) -> Iterator[str]:
    """Give the paths where a Python of this version may be."""
    found = shutil.which(f"python{version}")
    if found:
        yield found
    yield from map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), reverse=True))


def answers(python: str, version: str) -> bool:
    """Whether a path is a Python of this version: one that a version manager has put there may lead nowhere."""
    done = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version


def interpreters() -> dict[str, str]:
    """Return the path of each version that is there."""
    working = {
        version: next((python for python in candidates(version) if answers(python, version)), None)
        for version in VERSIONS
    }
    return {version: python for version, python in working.items() if python is not None}


def run_tests(version: str, python: str, arguments: list[str]) -> bool:
    """Make the environment of a version, if it is not there, and run the tests in it."""
    print(f"== Python {version}: {python}", flush=True)
    environment = "VENV=.venv" if version == OWN else f"VENV=.venv/pythons/{version}"
    command = ["make", "--no-print-directory", "test", environment, f"PYTHON={python}", f"ARGS={shlex.join(arguments)}"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def main(arguments: list[str]) -> int:
    found = interpreters()
    passed = {version: run_tests(version, python, arguments) for version, python in found.items()}
    for version in VERSIONS:
        print(f"== Python {version}: {'not found' if version not in passed else _word(passed[version])}")
    return 0 if passed and all(passed.values()) else 1


def _word(passed: bool) -> str:
    return "passed" if passed else "FAILED"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
