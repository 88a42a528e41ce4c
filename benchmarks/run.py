"""Run scenarios: contenders take turns (A B C, A B C, ...), each time in a fresh process. One JSON line per result.

python -m benchmarks.run                        what `make bench` runs
python -m benchmarks.run --peers                what `make bench-peers` runs
python -m benchmarks.run --scenario paced --contender raw chatport --repetitions 9
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from . import environments, scenarios
from .certificate import make_certificate
from .contenders import CONTENDERS, PEERS, Entry
from .measure import measure
from .scenarios import Round, Scenario
from .tables import text_of
from .vendor import Address, capacity, running

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
LONGEST_SECONDS = 300
Result = dict[str, Any]
Measure = Callable[[Entry, dict[str, Any]], Result]


def in_a_process(entry: Entry, task: dict[str, Any]) -> Result:
    """Measure in a fresh process of the contender's own environment. Raises RuntimeError if it fails."""
    command = [str(environments.python_of(entry.environment)), "-m", "benchmarks.measure", json.dumps(task)]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # else litellm asks the internet when it is imported
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **quiet},
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result after {LONGEST_SECONDS} s") from None
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:])
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def in_this_process(entry: Entry, task: dict[str, Any]) -> Result:
    """Measure right here: for tests of the benchmarks, since every client warms up the next."""
    return measure(task)


class Runner:
    """Runs rounds against a vendor, and one that speaks TLS if there is a certificate."""

    def __init__(self, plain: Address, tls: Address | None, measure: Measure, out: IO[str]) -> None:
        self._plain = plain
        self._tls = tls
        self._measure = measure
        self._out = out
        self.failures: list[str] = []
        self.results: list[Result] = []

    def note(self, result: Result) -> None:
        """Keep a result, and write it down."""
        self.results.append(result)
        print(json.dumps(result), file=self._out, flush=True)

    def run(self, each: Round) -> None:
        """Let the contenders of a round take turns. One that fails is not asked again."""
        vendor = self._tls if each.scenario.is_tls else self._plain
        if vendor is None:
            print(f"== {each.scenario.name}: left out, TLS needs the openssl program", file=sys.stderr)
            return
        begun = time.monotonic()
        able = list(each.contenders)
        if each.scenario.mode == "cold":  # fills the disk cache, and writes the bytecode
            able = [name for name in able if self._turn(each.scenario, name, vendor, -1)]
        for repetition in range(each.repetitions):
            able = [name for name in able if self._turn(each.scenario, name, vendor, repetition)]
        print(f"== {each.scenario.name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)

    def _turn(self, scenario: Scenario, name: str, vendor: Address, repetition: int) -> bool:
        entry = (CONTENDERS | PEERS)[name]
        task = {
            "contender": name,
            "scenario": scenario.task(),
            "url": vendor.url,
            "control_port": vendor.control_port,
        }
        try:
            result = self._measure(entry, task)
            if result["count"] != scenario.count:
                raise RuntimeError(f"saw {result['count']} of {scenario.count}")
        except (RuntimeError, AssertionError) as error:
            self.failures.append(f"{name} in {scenario.name}: {str(error) or type(error).__name__}")
            self.note({"scenario": scenario.name, "contender": name, "failed": str(error)})
            return False
        if repetition >= 0:
            self.note({"scenario": scenario.name, "contender": name, "repetition": repetition, **result})
        return True


def machine() -> Result:
    """Return what the numbers depend on."""
    return {
        "machine": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "cpus": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d"),
        }
    }


def versions(entries: dict[str, Entry]) -> Result:
    """Return each contender's version, asked in its own environment."""
    found = {}
    for name, entry in entries.items():
        if not entry.distribution:
            continue
        if entry.environment:
            code = f"import importlib.metadata as m; print(m.version({entry.distribution!r}))"
            python = environments.python_of(entry.environment)
            done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
            found[name] = done.stdout.strip()
        else:
            found[name] = version(entry.distribution)
    return {"versions": found}


def sizes() -> Iterator[Result]:
    """Return what each installation weighs."""
    for name in environments.INSTALLED:
        yield {"scenario": "install", "contender": name, **environments.size_of(name)}


def chosen(options: argparse.Namespace) -> tuple[Round, ...]:
    """Return the rounds that the options name. Raises RuntimeError if there are none."""
    rounds = scenarios.bench_peers() if options.peers else scenarios.bench()
    if options.scenario:
        rounds = tuple(each for each in rounds if each.scenario.name in options.scenario)
    if options.contender:
        names = tuple(options.contender)
        rounds = tuple(replace(each, contenders=tuple(n for n in each.contenders if n in names)) for each in rounds)
        rounds = tuple(each for each in rounds if each.contenders)
    if not rounds:
        raise RuntimeError("Nothing to run: no contender asked for takes part in the scenarios. Peers need --peers.")
    if options.repetitions:
        rounds = tuple(replace(each, repetitions=options.repetitions) for each in rounds)
    return scenarios.smoke(rounds) if options.smoke else rounds


def _with_tls(stack: ExitStack) -> Address | None:
    """Start a vendor that speaks TLS, with a certificate that our children trust; None where none can be made."""
    certificate = make_certificate(Path(stack.enter_context(TemporaryDirectory())))
    if certificate is None:
        return None
    os.environ["SSL_CERT_FILE"] = str(certificate[0])
    return stack.enter_context(running(certificate))


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="the peers too; makes their environments")
    parser.add_argument("--scenario", nargs="+", choices=[each.name for each in scenarios.ALL])
    parser.add_argument("--contender", nargs="+", choices=[*CONTENDERS, *PEERS])
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--smoke", action="store_true", help="as small as can be: the numbers mean nothing")
    parser.add_argument("--here", action="store_true", help="in this process: the numbers mean nothing")
    parser.add_argument("--out", type=Path, help="where the JSON lines go, .results/ by default")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says, print the tables. Returns 1 if a contender has failed."""
    options = options_of(arguments)
    out = options.out or ROOT / "benchmarks" / ".results" / ("bench-peers.jsonl" if options.peers else "bench.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    rounds = chosen(options)
    if options.peers:
        for name in environments.INSTALLED:
            environments.make(name)
    with ExitStack() as stack:
        plain = stack.enter_context(running())
        tls = _with_tls(stack) if any(each.scenario.is_tls for each in rounds) else None
        file = stack.enter_context(out.open("w", encoding="utf-8"))
        runner = Runner(plain, tls, in_this_process if options.here else in_a_process, file)
        runner.note(machine())
        runner.note(versions(CONTENDERS | PEERS if options.peers else CONTENDERS))
        if not options.smoke:
            runner.note({"vendor": asdict(capacity(plain.port))})
        for each in rounds:
            runner.run(each)
        if options.peers:
            for result in sizes():
                runner.note(result)
    print(text_of(runner.results))
    print(f"\nEvery result: {out}", file=sys.stderr)
    for failure in runner.failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if runner.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:  # something is missing, and the text says what
        sys.exit(str(error))
