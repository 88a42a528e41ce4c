"""One client before one vendor: a fresh home, a time limit, and what is to be seen at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from chatport_gateway.clients import told

from .alone import together
from .installed import FOLDER, programs_of
from .recipe import Recipe
from .serving import ALIAS, KEY, Served, served

__all__ = ["Outcome", "try_client"]

PROGRAMS = Path(__file__).parent / "programs"


@attrs.frozen
class Outcome:
    """How it went: `problems` is empty where all was well. `kept` is the folder with what was said."""

    client: str
    vendor: str
    problems: tuple[str, ...]
    seconds: float
    paths: tuple[str, ...]
    kept: Path | None = None


def try_client(client: str, recipe: Recipe, vendor: str, *, keep: bool = False) -> Outcome:
    """Let a client finish its tool loop, and say what was wrong."""
    place = Path(tempfile.mkdtemp(prefix=f"chatport-{client}-{vendor}-"))
    home, work = place / "home", place / "work"
    home.mkdir()
    work.mkdir()
    began = time.monotonic()
    with served(vendor, recipe.steps) as behind:
        script = _prepare(recipe, behind, home)
        status = _run(script, work, _environment(client, recipe, home), recipe.seconds, place / "output.txt")
        log = list(behind.log.lines)
        _note(place, behind, log)
    problems = tuple(_problems(status, recipe, place, log))
    paths = tuple(dict.fromkeys(line["path"] for line in log if line.get("target")))
    if not problems and not keep:
        shutil.rmtree(place, ignore_errors=True)
    return Outcome(client, vendor, problems, time.monotonic() - began, paths, place if place.exists() else None)


def _prepare(recipe: Recipe, behind: Served, home: Path) -> str:
    """Write the files of a client, and return the shell script that runs it."""
    words = told(recipe.told, behind.settings, ALIAS)
    files = {**recipe.files, **({recipe.place: words} if recipe.place else {})}
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    shutil.copytree(PROGRAMS, home / "programs")
    return "\n".join([*([] if recipe.place else [words]), recipe.command])


def _environment(client: str, recipe: Recipe, home: Path) -> Mapping[str, str]:
    """Return all variables that it gets: nothing of this machine's."""
    folders = [*programs_of(client, recipe), Path(sys.executable).parent, *os.environ["PATH"].split(os.pathsep)]
    temporary = home / "tmp"
    temporary.mkdir()
    return {
        "PATH": os.pathsep.join(str(folder) for folder in folders),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "CHATPORT_GATEWAY_KEY": KEY,
        "MODEL": ALIAS,
        "INSTALLED": str(FOLDER / client),
    }


def _run(script: str, work: Path, environment: Mapping[str, str], seconds: float, output: Path) -> int | None:
    """Run a script, with all that it starts; return its status, None if its time was over."""
    (work.parent / "script.sh").write_text(script + "\n")
    with output.open("wb") as file:
        process = subprocess.Popen(
            together(["sh", "-e", str(work.parent / "script.sh")]),
            cwd=work,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _note(place: Path, behind: Served, log: list[dict[str, Any]]) -> None:
    """Write down what the gateway logged, and what it sent to the vendor."""
    (place / "gateway.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    sent = [json.dumps({"path": r.path, "body": json.loads(r.content or b"null")}) for r in behind.emulator.requests]
    (place / "vendor.jsonl").write_text("".join(line + "\n" for line in sent))


def _problems(status: int | None, recipe: Recipe, place: Path, log: list[dict[str, Any]]) -> list[str]:
    """Return what was not as it should be."""
    found = []
    if status is None:
        found.append(f"not done after {recipe.seconds:.0f} s")
    elif status:
        found.append(f"ended with status {status}")
    proof = place / "work" / "second.txt"
    if not proof.exists() or proof.read_text().strip() != "43":
        found.append("its tools were not run")
    if recipe.last not in (place / "output.txt").read_text(errors="replace"):
        found.append("the last words are missing")
    mistakes = [line["mistake"].strip().splitlines()[-1] for line in log if "mistake" in line]
    found += [f"a mistake of ours: {mistake}" for mistake in mistakes]
    refused = [line for line in log if line.get("status", 0) >= 400]
    if len(refused) != recipe.refusals:
        found += [f"{line['status']} to {line['method']} {line['path']} ({line.get('error')})" for line in refused]
        found.append(f"refused {len(refused)} requests, not {recipe.refusals}")
    return found
