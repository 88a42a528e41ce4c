"""What the tests share: rows in a file, an emulated vendor in process, and runs over them."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatport.testing import Emulator
from chatport_bulk import Job, Report, Run, Settings, run

_MEMORY = Path("/dev/shm")

MODEL = "compatible:emulated-model"
QUICK = {"retry": {"first_seconds": 0.001, "longest_seconds": 0.002}}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give a folder in memory where there is such a thing: the log waits for the disk at each step."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as place:
        yield Path(place)


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's environment and folder out."""
    for name in ("LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "CHATPORT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.chdir(tmp_path)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


class World:
    """An emulator in process, a file of rows, and a folder for the answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.rows = folder / "rows.jsonl"
        self.emulator = Emulator("compatible")
        self.job = Job(MODEL, "say: {text}")
        self.config: dict[str, Any] = self.emulator.config(**QUICK)
        self.backend = "asyncio"

    def write(self, number: int, *, start: int = 0) -> None:
        write_jsonl(self.rows, [{"id": f"id-{n}", "text": f"word {n}"} for n in range(start, start + number)])

    def misbehave(self, faults: Any) -> None:
        self.emulator.misbehave(faults)

    def options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"config": self.config, "client": {"transport": self.emulator}, **options}

    def make(self, job: Job | None = None, **options: Any) -> Run:
        return Run(self.rows, job or self.job, self.out, **self.options(options))

    def run(self, job: Job | None = None, **options: Any) -> Report:
        return run(self.rows, job or self.job, self.out, backend=self.backend, **self.options(options))

    @property
    def asked(self) -> Counter[str]:
        """How often each last line was asked of the vendor."""
        return Counter(request.json()["messages"][-1]["content"] for request in self.emulator.requests)

    def answers(self) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for part in sorted((self.out / "answers").iterdir())
            for line in part.read_text("utf-8").splitlines()
        ]

    def failed(self) -> list[dict[str, Any]]:
        path = self.out / "failed.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


ONE_AT_A_TIME = Settings(concurrency=1, first_concurrency=1)
