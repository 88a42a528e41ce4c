"""Coverage-guided fuzzing of decoders, error and header readers, schemas, terminal output: `tests/fuzz/run.py --help`.

It needs atheris (libFuzzer for Python) beside the packages of the checkout: `pip install atheris`. The properties are
those of the tests (`properties.py`; `--configurations`: `configuration.py`). Inputs that reach new code are
written to OUT/found, those that break a property to OUT/broken, one for each place in the code: mend the code and keep
the input in `corpus/` (`configurations/`), where the tests find it.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import random
import sys
import tempfile
import time
import traceback
import zlib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TRACES = ROOT.parent / "shared" / "traces"
CORPORA = ("corpus", "corpus_http")
SLOW_SECONDS = 2.0
LONGEST_BYTES = 16_384
MOST_SEEDS = 600
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308, -0.0, "", " ", "0", "²", "\ud83d", "\ude00",
    "NaN", "[DONE]", "null", [], {}, [[]], [None], [{}], {"": None}, {"text": 1}, "x" * 300,
)  # fmt: skip
LINES = (b"", b"data: [DONE]", b"data:", b": x", b"event: error", b"event: message_stop", b"id: 1", b"retry: 1", b"\r")
SYNTAX = (
    b'"', b"\\", b"[", b"]", b"{", b"}", b":", b",", b"=", b".", b"\n", b"\r\n", b"\x1b]52;c;", b"\xed\xa0\xbd",
    b"\x00", b"chunked", b"content-length: ", b'{"$ref": "#"}', b"[providers.deepseek]", b"base_url = ",
)  # fmt: skip
WORDS = (
    "",
    "0",
    "-1",
    "²",
    "1e400",
    "nan",
    "inf",
    "99999999999999h",
    "6m0s",
    "true",
    "9" * 4400,
    "2026-01-01T00:00:00Z",
)


def main() -> None:
    arguments = read_arguments()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="chatport-fuzz-"))
    for folder in ("seeds", "found", "broken"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    print(f"writing to {out}", flush=True)
    sys.path.insert(0, str(ROOT))
    if arguments.blind:
        fuzz_blindly(out, arguments)
        return
    try:
        import atheris  # type: ignore[import-untyped]  # it need not be installed
    except ImportError:
        sys.exit("The fuzzer needs atheris beside the packages of this checkout: pip install atheris")
    packages = {entry.module.partition(".")[0] for entry in entry_points(group="chatport.providers")}
    with atheris.instrument_imports(include=["chatport", *sorted(packages)]):
        from tests.fuzz.properties import PROVIDERS

        if arguments.configurations:
            fuzz_configurations(out, arguments.seconds)
        providers = PROVIDERS if arguments.provider == "all" else tuple(arguments.provider.split(","))
        seeds = write_seeds(out / "seeds", providers, arguments.seconds)
        fuzzer = Fuzzer(providers, out / "broken", seeds, lambda data, most: atheris.Mutate(data, most))
        for seed in seeds[:200]:  # import whatever is imported lazily while imports are instrumented
            fuzzer.run(seed)
    begin(out, arguments.seconds, fuzzer.run, custom_mutator=fuzzer.mutate)


def fuzz_blindly(out: Path, arguments: argparse.Namespace) -> None:
    """Run so many variants of what is kept, without a view of the code: no atheris is needed, and it is much faster."""
    from tests.fuzz.configuration import check_configuration
    from tests.fuzz.properties import PROVIDERS

    dice = random.Random(arguments.seed)
    providers = PROVIDERS if arguments.provider == "all" else tuple(arguments.provider.split(","))
    answers, responses = ([path.read_bytes() for path in sorted((HERE / name).iterdir())] for name in CORPORA)
    pools = [answers, responses]
    fuzzer = Fuzzer(providers, out / "broken", answers, lambda data, most: changed(data, dice)[:most])
    if arguments.configurations:
        pools = [[path.read_bytes() for path in sorted((HERE / "configurations").iterdir())]]
        in_a_new_folder()
    counts: dict[str, int] = {}
    for number in range(arguments.blind):
        kept = dice.choice(pools)
        old = dice.choice(kept)
        if arguments.configurations:
            kind, data = "configuration", changed(old, dice)
            check_configuration(data, counts=False)
        else:
            data = fuzzer.mutate(old, LONGEST_BYTES, number + arguments.seed)
            kind = "http" if data.startswith(b"HTTP/1.") else "answer"
            fuzzer.run(data)
        counts[kind] = counts.get(kind, 0) + 1
        if len(data) < 2048 and len(kept) < MOST_SEEDS and dice.random() < 0.02:
            kept.append(data)  # so that variants of variants are tried as well
    print(f"done: {counts}; broken at {len(fuzzer.places)} places", flush=True)


def changed(data: bytes, dice: random.Random) -> bytes:
    """Return a variant of some bytes: a few of them put in, taken out, doubled or turned into others."""
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        at, length = dice.randrange(len(data) + 1), dice.choice((1, 1, 2, 4, 16, 64))
        match dice.randrange(5):
            case 0:
                data = data[:at] + dice.randbytes(length) + data[at:]
            case 1:
                data = data[:at] + data[at + length :]
            case 2:
                data = data[:at] + data[at : at + length] * dice.choice((2, 3, 50)) + data[at + length :]
            case 3:
                data = data[:at] + dice.choice(SYNTAX) + data[at:]
            case _:
                data = data[:at] + dice.randbytes(1) + data[at + 1 :]
    return data


def in_a_new_folder() -> None:
    """Go where no file of a user's or of a project's lies."""
    os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="chatport-fuzz-")
    os.chdir(tempfile.mkdtemp(prefix="chatport-fuzz-"))


def begin(out: Path, seconds: int, target: Any, **more: Any) -> None:
    """Fuzz a target until the time is over, which ends the process."""
    import atheris

    options = [
        f"-max_total_time={seconds}", f"-max_len={LONGEST_BYTES}", "-timeout=30", "-rss_limit_mb=2000",
        "-print_final_stats=1", f"-artifact_prefix={out / 'broken'}/",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], str(out / "found"), str(out / "seeds"), *options], target, **more)
    atheris.Fuzz()


def fuzz_configurations(out: Path, seconds: int) -> None:
    """Fuzz the configuration file of a working folder, in a new folder. What breaks a property ends the process."""
    from tests.fuzz.configuration import check_configuration

    for path in (HERE / "configurations").iterdir():
        (out / "seeds" / path.name).write_bytes(path.read_bytes())
    in_a_new_folder()

    def target(data: bytes) -> None:
        began = time.process_time()
        check_configuration(data, counts=False)
        assert time.process_time() - began < SLOW_SECONDS, "slow"

    begin(out.resolve(), seconds, target)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz the decoders of Chatport's providers, guided by coverage.")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--blind", type=int, default=0, help="so many inputs without guidance, and without atheris")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--provider", default="all", help="a provider, several with commas, or all (the default)")
    parser.add_argument("--configurations", action="store_true", help="fuzz configuration files in place of answers")
    parser.add_argument("--out", type=Path, help="the folder to write to (default: a new temporary one)")
    return parser.parse_args()


def write_seeds(folder: Path, providers: tuple[str, ...], seed: int) -> list[bytes]:
    """Write the kept corpus and the recordings, where there are any, as inputs; each is given to some provider."""
    from tests.fuzz.exchange import read_exchange

    texts = [path.read_bytes() for path in sorted((HERE / "corpus").iterdir())]
    texts += sorted(recorded(), key=zlib.crc32)[:MOST_SEEDS]
    seeds = []
    for number, text in enumerate(texts):
        exchange = read_exchange(text)
        assert exchange is not None, text[:200]
        head = json.loads(text.partition(b"\n")[0]) | {"provider": providers[number % len(providers)]}
        seeds.append(json.dumps(head).encode() + b"\n" + exchange.body)
        (folder / f"{zlib.crc32(seeds[-1]):08x}").write_bytes(seeds[-1])
    for path in sorted((HERE / "corpus_http").iterdir()):
        seeds.append(path.read_bytes())
        (folder / path.name).write_bytes(seeds[-1])
    random.Random(seed).shuffle(seeds)
    return seeds


def recorded() -> list[bytes]:
    from tests.fuzz.exchange import Exchange

    found = []
    for path in TRACES.glob("*/*.json"):
        response = json.loads(path.read_text("utf-8"))["response"]
        text, body = response.get("sse_text"), response.get("body_text")
        headers = {str(name).lower(): str(value) for name, value in (response.get("headers") or {}).items()}
        content = (text if text is not None else body or "").encode()
        if 0 < len(content) < LONGEST_BYTES // 2 and 200 <= (response["status"] or 200) < 600:
            kind: Any = "stream" if text is not None else "whole"
            found.append(Exchange(kind, content, response["status"] or 200, headers).written())
    return found


class Fuzzer:
    """One input: a corpus file whose head may name its provider."""

    def __init__(self, providers: tuple[str, ...], broken: Path, seeds: list[bytes], mutate_bytes: Any) -> None:
        self.providers = providers
        self.broken = broken
        self.seeds = seeds
        self.mutate_bytes = mutate_bytes
        self.places: set[str] = set()

    def run(self, data: bytes) -> int:
        """Check one input; libFuzzer's target. Returns -1 for what is no input at all, which is then not kept."""
        from tests.fuzz.exchange import read_exchange
        from tests.fuzz.heads import check_response
        from tests.fuzz.properties import check

        if data.startswith(b"HTTP/1."):  # a kind of its own: a whole response as it comes over the wire
            try:
                check_response(data)
            except Exception as error:
                self.note("http", f"{type(error).__name__} {str(error)[:60]}", data, traceback.format_exc())
            return 0
        exchange = read_exchange(data)
        if exchange is None:
            return -1
        provider = exchange.provider
        if provider not in self.providers:
            provider = self.providers[zlib.crc32(data[:64]) % len(self.providers)]
        began = time.process_time()
        try:
            check(provider, exchange)
            if time.process_time() - began > SLOW_SECONDS:
                self.note(provider, f"slow: {len(data)} bytes", data, "")
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            frames += traceback.extract_tb(error.__cause__.__traceback__) if error.__cause__ else []
            words = str(error)[:60] if isinstance(error, AssertionError) else ""
            place = f"{type(error).__name__} {Path(frames[-1].filename).name}:{frames[-1].lineno} {words}"
            self.note(provider, place, data, "".join(traceback.format_exception(error)))
        return 0

    def note(self, provider: str, place: str, data: bytes, story: str) -> None:
        """Write the first input that breaks something at a place."""
        if place in self.places:
            return
        self.places.add(place)
        name = f"{provider}-{zlib.crc32(data):08x}"
        (self.broken / name).write_bytes(data)
        (self.broken / f"{name}.txt").write_text(f"{place}\n\n{story}", "utf-8", "backslashreplace")
        print(f"BROKEN {provider}: {place}", flush=True)

    # --- mutations

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Return a variant of an input: of its JSON, its events, its headers, or just of its bytes."""
        dice = random.Random(seed)
        if data.startswith(b"HTTP/1."):
            return b"HTTP/1." + bytes(self.mutate_bytes(data[7:] or b"x", max(max_size - 7, 1)))
        line, _, body = data.partition(b"\n")
        try:
            head = json.loads(line)
            assert isinstance(head["headers"], dict)
        except (ValueError, TypeError, KeyError, AssertionError, RecursionError):
            return bytes(dice.choice(self.seeds)[:max_size])
        for _ in range(dice.choice((1, 1, 2, 4))):
            match dice.randrange(10):
                case 0:
                    body = self.mutate_bytes(body or b"x", max(max_size - len(line) - 1, 1))
                case 1:
                    self._mutate_head(head, dice)
                case 2 | 3:
                    body = self._mutate_events(body, dice)
                case _:
                    with contextlib.suppress(RecursionError):  # it is as deep as Python goes
                        body = self._mutate_json(body, dice)
        return bytes((json.dumps(head).encode() + b"\n" + body)[:max_size])

    def _mutate_head(self, head: dict[str, Any], dice: random.Random) -> None:
        from tests.fuzz.exchange import KINDS

        match dice.randrange(5):
            case 0:
                head["provider"] = dice.choice(self.providers)
            case 1:
                head["kind"] = dice.choice(KINDS)
            case 2:
                head["status"] = dice.choice((200, 200, 400, 401, 402, 403, 404, 413, 422, 429, 500, 503, 529))
            case 3 if head["headers"]:
                head["headers"][dice.choice(sorted(head["headers"]))] = dice.choice(WORDS)
            case _:
                other = json.loads(dice.choice(self.seeds).partition(b"\n")[0])["headers"]
                head["headers"] |= dict(dice.sample(sorted(other.items()), min(2, len(other))))

    def _mutate_events(self, body: bytes, dice: random.Random) -> bytes:
        events = body.split(b"\n\n")
        at = dice.randrange(len(events))
        match dice.randrange(6):
            case 0:
                del events[at]
            case 1:
                events.insert(at, dice.choice(events))
            case 2:
                events.insert(at, dice.choice(LINES))
            case 3:
                events[at] = dice.choice(LINES) + b"\n" + events[at]
            case 4:
                events.insert(at, dice.choice(dice.choice(self.seeds).partition(b"\n")[2].split(b"\n\n")))
            case _:
                return body[: dice.randrange(len(body) + 1)]
        return b"\n\n".join(events)

    def _mutate_json(self, body: bytes, dice: random.Random) -> bytes:
        """Change a value somewhere in the body, or in one event of it."""
        blocks = body.split(b"\n\n") if body.lstrip()[:1] not in (b"{", b"[") else [body]
        at = dice.randrange(len(blocks))
        start = blocks[at].find(b"{")
        try:
            value = json.loads(blocks[at][start:])
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            return self._mutate_events(body, dice)
        spots = list(_spots(value))
        if not spots:
            return body
        holder, key = dice.choice(spots)
        match dice.randrange(5):
            case 0 | 1:
                holder[key] = dice.choice(HOSTILE)
            case 2:
                other_holder, other_key = dice.choice(spots)
                holder[key] = copy.deepcopy(other_holder[other_key])
            case 3:
                holder[key] = [holder[key]]
            case _ if isinstance(holder, dict):
                holder[dice.choice(_KEYS)] = dice.choice((holder[key], dice.choice(HOSTILE)))
                if dice.random() < 0.5:
                    holder.pop(key, None)
            case _:
                holder.append(holder[key])
        blocks[at] = blocks[at][:start] + json.dumps(value).encode()
        return b"\n\n".join(blocks)


_KEYS = (
    "choices", "delta", "message", "content", "text", "type", "index", "id", "name", "arguments", "tool_calls",
    "function", "finish_reason", "usage", "error", "code", "status", "detail", "errors", "reasoning",
    "reasoning_content", "input", "reasoning_details", "refusal", "audio", "logprobs", "prompt_tokens",
    "input_tokens", "output_tokens", "metadata", "x_groq", "failed_generation", "annotations", "provider",
    "content_block", "stop_reason", "signature", "thinking", "partial_json", "citation", "raw", "headers",
    "retry_after", "availability", "data", "object", "model", "function_call", "schema", "value", "$ref", "$defs",
    "properties", "required", "items", "anyOf", "oneOf", "allOf", "not", "enum", "const", "pattern", "uniqueItems",
    "additionalProperties", "patternProperties", "minimum", "multipleOf", "maxLength",
)  # fmt: skip


def _spots(value: Any) -> Any:
    """Yield every (container, key) inside a JSON value."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])


if __name__ == "__main__":
    main()
