"""A vendor with batches in process, in time of its own: a day of waiting takes none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from chatport.testing import BatchesEmulator, EmulatedRequest, Emulator, Fault, VirtualClock, faults
from chatport_bulk import BatchSettings, Job, Report, Run, run

from .conftest import write_jsonl

MODELS = {
    "openai": "gpt-4o-mini",
    "groq": "openai/gpt-oss-20b",
    "together": "openai/gpt-oss-120b",
    "mistral": "mistral-small-latest",
    "anthropic": "claude-haiku-5-5",
}
QUICK = {"retry": {"first_seconds": 0.001, "longest_seconds": 0.002}}
_WORD = re.compile(r"word \d+\.")


class BatchWorld:
    """An emulator, a file of rows, and a folder for the answers."""

    def __init__(self, folder: Path, provider: str = "openai", backend: str = "asyncio", **settings: Any) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.rows = folder / "rows.jsonl"
        self.backend = backend
        self.clock = VirtualClock()
        self.emulator = Emulator(provider, clock=self.clock, **settings)
        vendor = self.emulator.vendor
        assert isinstance(vendor, BatchesEmulator)
        self.vendor = vendor
        self.vendor.now = lambda: self.clock.now().timestamp()
        self.model = f"{provider}:{MODELS[provider]}"
        self.job = Job(self.model, "say: {text}", key="id")
        self.config: dict[str, Any] = self.emulator.config(**QUICK)
        self.batch = BatchSettings()

    def write(self, number: int, *, start: int = 0, text: str = "word {n}.") -> None:
        write_jsonl(self.rows, [{"id": f"id {n}", "text": text.format(n=n)} for n in range(start, start + number)])

    def options(self, **options: Any) -> dict[str, Any]:
        client = {"transport": self.emulator, "clock": self.clock.clock}
        return {"config": self.config, "client": client, "lane": "batch", "batch": self.batch, **options}

    def make(self, job: Job | None = None, **options: Any) -> Run:
        return Run(self.rows, job or self.job, self.out, **self.options(**options))

    def run(self, job: Job | None = None, **options: Any) -> Report:
        return run(self.rows, job or self.job, self.out, backend=self.backend, **self.options(**options))

    def lose_a_beginning(self, meanwhile: Callable[[], object] = lambda: None) -> list[str]:
        """Begin the first batch without an answer, when something else happens too; return its path once that was."""
        lost: list[str] = []

        def lose(number: int, request: EmulatedRequest) -> Fault | None:
            if request.method != "POST" or not request.path.endswith(self.vendor.jobs_path) or lost:
                return None
            lost.append(request.path)
            meanwhile()
            return faults.reset_before_head()

        self.emulator.misbehave(lose)
        return lost

    @property
    def worked_on(self) -> Counter[str]:
        """How often each row was worked on in a batch, which is what is paid."""
        return Counter(word for body in self.vendor.worked_on for word in _WORD.findall(json.dumps(body)))

    @property
    def online(self) -> list[Any]:
        """The calls that were made online."""
        asked = [r for r in self.emulator.requests if r.method == "POST"]
        return [r for r in asked if r.path.endswith(("/chat/completions", "/v1/messages", "/responses"))]

    def answers(self) -> dict[str, dict[str, Any]]:
        """The answers by the row's key, each of which is there once."""
        found = [
            json.loads(line)
            for part in sorted((self.out / "answers").iterdir())
            for line in part.read_text("utf-8").splitlines()
        ]
        assert len({one["key"] for one in found}) == len(found)
        return {one["key"]: one for one in found}

    def failed(self) -> dict[str, dict[str, Any]]:
        lines = (self.out / "failed.jsonl").read_text("utf-8").splitlines()
        return {one["key"]: one for one in map(msgspec.json.decode, lines)}
