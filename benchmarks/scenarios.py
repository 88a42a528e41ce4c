"""What is measured. A scenario is one measurement; a suite says who takes part in which, and how often."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from .wire import Knobs

__all__ = ["ALL", "PEER_NAMES", "Round", "Scenario", "bench", "bench_peers", "smoke"]

Mode = Literal["stream", "plain", "many", "growth", "cold"]


@dataclass(frozen=True)
class Scenario:
    """One measurement in one fresh process, whose client is warm unless the mode is "cold"."""

    name: str
    mode: Mode
    knobs: Knobs = field(default_factory=Knobs)
    calls: int = 1  # plain: how many in all; many: how many streams
    at_once: int = 1
    is_tls: bool = False

    @property
    def count(self) -> int:
        """How many pieces (of plain answers: how many answers) a contender must have seen."""
        return {"plain": self.calls, "many": self.calls * self.knobs.chunks}.get(self.mode, self.knobs.chunks)

    def task(self) -> dict[str, Any]:
        """Return what `read` makes a scenario of, fit for JSON."""
        return asdict(self)

    @staticmethod
    def read(task: dict[str, Any]) -> Scenario:
        """Return the scenario that `task` told of."""
        return Scenario(**{**task, "knobs": Knobs(**task["knobs"])})


@dataclass(frozen=True)
class Round:
    """A scenario, who takes part, and how often each does."""

    scenario: Scenario
    contenders: tuple[str, ...]
    repetitions: int


PACED = Scenario("paced", "stream", Knobs(chunks=500, delay=1))
PACED_TLS = replace(PACED, name="paced-tls", is_tls=True)
BURST = Scenario("burst", "stream", Knobs(chunks=10_000, write=10))
REASONING = Scenario("reasoning", "stream", Knobs(chunks=10_000, write=10, kind="reasoning"))
TOOLS = Scenario("tools", "stream", Knobs(chunks=10_000, write=10, kind="tools"))
PLAIN = Scenario("plain", "plain", calls=200)
PLAIN_MANY = Scenario("plain-64", "plain", calls=320, at_once=64)
MANY = Scenario("many", "many", Knobs(chunks=25, delay=50), calls=1000)
GROWTH = Scenario("growth", "growth", Knobs(chunks=100_000, write=10))
COLD = Scenario("cold", "cold")
ALL = (PACED, PACED_TLS, BURST, REASONING, TOOLS, PLAIN, PLAIN_MANY, MANY, GROWTH, COLD)

ASYNC = ("raw", "httpx", "chatport", "httpx-trio", "chatport-trio")
OVER_HTTPX = ("chatport-httpx", "chatport-httpx-trio", "chatport-httpx-sync")
EVERY_KIND = (*ASYNC, "httpx-sync", "chatport-sync", *OVER_HTTPX)
VENDORS = ("chatport-deepseek", "chatport-anthropic")
PEER_NAMES = ("openai", "openai-sync", "litellm", "langchain", "any-llm", "pydantic-ai")
ASYNC_PEERS = tuple(name for name in PEER_NAMES if not name.endswith("-sync"))


def bench() -> tuple[Round, ...]:
    """Return what `make bench` runs: everything that needs no more than the project's own environment."""
    return (
        Round(PACED, (*EVERY_KIND, *VENDORS), 4),
        Round(PACED_TLS, ("raw", "httpx", "chatport", "chatport-httpx"), 3),
        Round(BURST, (*EVERY_KIND, *VENDORS), 3),
        Round(REASONING, ("raw", "httpx", "chatport", *VENDORS), 3),
        Round(TOOLS, ("raw", "httpx", "chatport", *VENDORS), 3),
        Round(PLAIN, EVERY_KIND, 3),
        Round(PLAIN_MANY, (*ASYNC, *OVER_HTTPX[:2]), 3),
        Round(MANY, ("raw", "httpx", "chatport", "chatport-httpx"), 1),
        Round(GROWTH, ("raw", "httpx", "chatport"), 1),
        Round(COLD, ("httpx", "chatport", "chatport-trio", "chatport-sync", "chatport-httpx"), 5),
    )


def bench_peers() -> tuple[Round, ...]:
    """Return what `make bench-peers` runs: the peers beside the limit, bare httpx and ours, once more."""
    ours = ("raw", "httpx", "chatport")
    sync = ("httpx-sync", "chatport-sync")
    return (
        Round(PACED, (*ours, *sync, *PEER_NAMES), 5),
        Round(PACED_TLS, (*ours, "openai"), 3),
        Round(BURST, (*ours, *PEER_NAMES), 3),
        Round(TOOLS, (*ours, *ASYNC_PEERS), 3),
        Round(PLAIN, (*ours, *sync, *PEER_NAMES), 3),
        Round(PLAIN_MANY, (*ours, *ASYNC_PEERS), 3),
        Round(MANY, (*ours, "openai"), 3),
        Round(COLD, ("httpx", "chatport", *PEER_NAMES), 5),
    )


def smoke(rounds: tuple[Round, ...]) -> tuple[Round, ...]:
    """Return the same rounds as small as they can be: to see that everything runs."""
    return tuple(replace(each, scenario=_smallest(each.scenario), repetitions=1) for each in rounds)


def _smallest(scenario: Scenario) -> Scenario:
    knobs = replace(scenario.knobs, chunks=6)
    return replace(scenario, knobs=knobs, calls=min(scenario.calls, 4), at_once=min(scenario.at_once, 2))
