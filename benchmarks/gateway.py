"""What the gateway costs: the fake vendor behind it, this process in front, and the vendor alone beside it.

    python -m benchmarks.gateway                 what `make bench-gateway` runs
    python -m benchmarks.gateway --soak 600      and ten minutes of mixed load with clients that leave
    python -m benchmarks.gateway --team          beside it one with keys, budgets, limits and records (SQLite)
    python -m benchmarks.gateway --team-shared   the same with PostgreSQL and Redis
    python -m benchmarks.gateway --litellm       and LiteLLM's proxy after it, in an environment of its own

Each round asks the vendor itself and then the gateway, so that what differs is the gateway. CPU is that of the
gateway's process alone (from /proc); requests per second and core are its inverse. Latency is measured one request at a
time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from .environments import make, python_of
from .vendor import Address, running

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
SERVE = """
import sys
from chatport_gateway import Gateway, make_server
gateway = Gateway(sys.argv[1])
server = make_server(gateway)
gateway.log = type("Quiet", (), {"info": lambda *a, **k: None, "exception": lambda *a, **k: None})()
server.run()
"""


class Process:
    """The gateway's process, as the system sees it."""

    def __init__(self, pid: int, port: int, key: str = "") -> None:
        self.pid, self.port, self.key = pid, port, key

    def cpu_seconds(self) -> float:
        """Return the CPU time it has taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_bytes(self) -> int:
        """Return the memory it holds now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def gateway_before(vendor: Address, team: Literal["", "alone", "shared"] = "") -> Iterator[Process]:
    """Run the gateway in a process of its own, with one alias for each shape of stream, with or without a team."""
    port, key = _free_port(), ""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        tables = ""
        if team:
            from .gateway_team import team_tables

            tables, key = stack.enter_context(team_tables(Path(folder), shared=team == "shared"))
        config = Path(folder, "chatport.toml")
        config.write_text(
            f'[gateway]\nport = {port}\n[providers.bench]\nkind = "compatible"\nbase_url = "{vendor.url}/v1"\n'
            'api_key = "key"\n[aliases]\nplain = "bench:fake"\nshort = "bench:chunks-50"\n'
            'paced = "bench:chunks-50_delay-20"\nlong = "bench:chunks-2000_delay-10"\n' + tables
        )
        with _serving([sys.executable, "-c", SERVE, str(config)], port) as process:
            process.key = key
            yield process


@contextmanager
def litellm_before(vendor: Address) -> Iterator[Process]:
    """Run LiteLLM's proxy with the same models, one worker and nothing to log."""
    make("litellm-proxy")
    port = _free_port()
    models = {"plain": "fake", "short": "chunks-50", "long": "chunks-2000_delay-10"}
    listed = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{model}", "api_base": f"{vendor.url}/v1", "api_key": "key"},
        }
        for name, model in models.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        settings = {"dangerously_permit_weak_or_unset_master_key": True}  # it asks for a key, ours here does not
        config.write_text(json.dumps({"model_list": listed, "general_settings": settings}))
        program = str(python_of("litellm-proxy").with_name("litellm"))
        with _serving([program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)], port) as process:
            yield process


@contextmanager
def _serving(command: Sequence[str], port: int) -> Iterator[Process]:
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # it would ask the network
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Process(process.pid, port)
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    import socket

    for _ in range(2400):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("The gateway did not start.")


class Client:
    """One connection that is kept: the least that can ask."""

    def __init__(self, port: int, key: str = "") -> None:
        self._port = port
        self._head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n".encode()

    async def open(self) -> Client:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self

    async def ask(self, model: str, *, stream: bool, leave_after: int = 0) -> tuple[float, float, int]:
        """Ask; return the seconds to the first piece of content and to the end, and how many events came."""
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        content = json.dumps(body).encode()
        begun = time.perf_counter()
        self._writer.write(self._head + b"content-length: %d\r\n\r\n" % len(content) + content)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if length:
            await self._reader.readexactly(int(length))
            end = time.perf_counter() - begun
            return end, end, 1
        first, events = 0.0, 0
        while size := int(await self._reader.readline(), 16):
            data = await self._reader.readexactly(size + 2)
            events += data.count(b"data: ")
            if not first and b'"content":"' in data and b'"content":""' not in data:
                first = time.perf_counter() - begun
            if leave_after and events >= leave_after:
                self.close()
                return first, time.perf_counter() - begun, events
        await self._reader.readline()
        return first, time.perf_counter() - begun, events

    def close(self) -> None:
        """Leave."""
        self._writer.close()


async def latency(port: int, model: str, count: int, *, stream: bool, key: str = "") -> float:
    """Return the median seconds to the first content, one request after the other on one connection."""
    client = await Client(port, key).open()
    for _ in range(count // 10):
        await client.ask(model, stream=stream)
    found = [(await client.ask(model, stream=stream))[0] for _ in range(count)]
    client.close()
    return statistics.median(found)


async def load(port: int, model: str, count: int, workers: int, *, stream: bool, key: str = "") -> float:
    """Return the seconds for so many requests by so many workers at once."""
    left = iter(range(count))

    async def work() -> None:
        client = await Client(port, key).open()
        for _ in left:
            await client.ask(model, stream=stream)
        client.close()

    begun = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(workers)])
    return time.perf_counter() - begun


async def crowd(process: Process, number: int) -> tuple[int, int]:
    """Return the memory before and while so many streams are open at once."""
    await load(process.port, "short", 100, 10, stream=True, key=process.key)
    before = process.rss_bytes()
    clients = [await Client(process.port, process.key).open() for _ in range(number)]
    tasks = [asyncio.create_task(client.ask("long", stream=True, leave_after=300)) for client in clients]
    most = before
    for _ in range(30):
        await asyncio.sleep(0.2)
        most = max(most, process.rss_bytes())
    for task in tasks:
        task.cancel()
    for client in clients:
        client.close()
    await asyncio.sleep(1)  # until the gateway has noticed
    return before, most


async def soak(process: Process, seconds: float) -> tuple[int, int]:
    """Return the memory after the first minute (or tenth) of mixed load with clients that leave, and at the end."""
    end, early, noted = time.monotonic() + seconds, min(60.0, seconds / 10), 0
    started = time.monotonic()
    chance = random.Random(7)

    async def work() -> None:
        while time.monotonic() < end:
            client = await Client(process.port, process.key).open()
            for _ in range(chance.randrange(1, 20)):
                leave = chance.randrange(1, 40) if chance.random() < 0.3 else 0
                await client.ask(chance.choice(["plain", "short"]), stream=chance.random() < 0.7, leave_after=leave)
                if leave:
                    break
            client.close()

    async def note() -> None:
        nonlocal noted
        await asyncio.sleep(early)
        noted = process.rss_bytes()

    await asyncio.gather(note(), *[work() for _ in range(16)])
    assert time.monotonic() - started >= seconds
    return noted, process.rss_bytes()


async def measured(vendor: Address, process: Process, rounds: int) -> None:
    """Measure, and print a table."""
    rows: list[tuple[str, str]] = []
    for name, stream in (("plain", False), ("short", True)):
        added, alone = [], []
        for _ in range(rounds):
            model = "fake" if name == "plain" else "chunks-50"
            alone.append(await latency(vendor.port, model, 200, stream=stream))
            added.append(await latency(process.port, name, 200, stream=stream, key=process.key) - alone[-1])
        what = "plain, whole" if name == "plain" else "to the first token"
        rows.append((f"added latency p50, {what}", f"{1000 * statistics.median(added):.2f} ms"))
    for name, count, stream in (("plain", 2000, False), ("short", 600, True)):
        costs, rates = [], []
        for _ in range(rounds):
            before = process.cpu_seconds()
            seconds = await load(process.port, name, count, 32, stream=stream, key=process.key)
            costs.append((process.cpu_seconds() - before) / count)
            rates.append(count / seconds)
        cost = statistics.median(costs)
        what = "plain requests" if name == "plain" else "streams of 50 chunks"
        rows.append((f"{what}, CPU each", f"{1e6 * cost:.0f} us = {1 / cost:,.0f} a second and core"))
        rows.append((f"{what}, seen here", f"{statistics.median(rates):,.0f} a second"))
        if stream:
            rows.append(("CPU a chunk, all of a stream's over 50", f"{1e6 * cost / 50:.1f} us"))
    before, most = await crowd(process, 1000)
    rows.append(("1,000 streams at once", f"{before / 2**20:.0f} MiB, {(most - before) / 2**10 / 1000:.1f} KiB each"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}", flush=True)


async def beside(vendor: Address, plain: Process, team: Process, rounds: int) -> None:
    """Measure two gateways in turns, so that what else the machine does meets both; print a table."""
    waits: dict[str, list[float]] = {"vendor": [], "plain": [], "team": []}
    costs: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        waits["vendor"].append(await latency(vendor.port, "fake", 200, stream=False))
        for name, process in (("plain", plain), ("team", team)):
            waits[name].append(await latency(process.port, "plain", 200, stream=False, key=process.key))
            for stream, count in ((False, 2000), (True, 300)):
                before = process.cpu_seconds()
                await load(process.port, "short" if stream else "plain", count, 32, stream=stream, key=process.key)
                costs.setdefault((name, stream), []).append((process.cpu_seconds() - before) / count)
    median = {name: statistics.median(found) for name, found in waits.items()}
    for name in ("plain", "team"):
        print(f"{name}: added latency p50 {1000 * (median[name] - median['vendor']):.2f} ms")
        for stream in (False, True):
            found = costs[name, stream]
            cost, least = statistics.median(found), min(found)
            what = "stream of 50 chunks" if stream else "plain request"
            print(f"{name}: CPU a {what} {1e6 * cost:.0f} us (least {1e6 * least:.0f}) = {1 / cost:,.0f}/s and core")
    for stream in (False, True):
        more = statistics.median([b - a for a, b in zip(costs["plain", stream], costs["team", stream], strict=True)])
        print(f"what the team adds to a {'stream' if stream else 'plain request'}: {1e6 * more:.0f} us")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS", help="mixed load for so long, too")
    parser.add_argument("--litellm", action="store_true", help="LiteLLM's proxy too (installs it: needs a registry)")
    parser.add_argument("--team", dest="team", action="store_const", const="alone", default="", help="with a team, too")
    parser.add_argument(
        "--team-shared", dest="team", action="store_const", const="shared", help="with PostgreSQL, Redis"
    )
    given = parser.parse_args()
    with running() as vendor:
        if given.team:
            with gateway_before(vendor) as plain, gateway_before(vendor, given.team) as process:
                asyncio.run(beside(vendor, plain, process, given.rounds))
                _soaked(process, given.soak)
            return
        with gateway_before(vendor) as process:
            asyncio.run(measured(vendor, process, given.rounds))
            _soaked(process, given.soak)
        if given.litellm:
            with litellm_before(vendor) as process:
                print("\nLiteLLM's proxy")
                asyncio.run(measured(vendor, process, given.rounds))


def _soaked(process: Process, seconds: float) -> None:
    if seconds:
        early, late = asyncio.run(soak(process, seconds))
        print(f"memory after {seconds:g} s of mixed load: {late / early:.2f} x that of the beginning")


if __name__ == "__main__":
    main()
