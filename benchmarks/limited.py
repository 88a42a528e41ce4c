"""A fake vendor that keeps a limit of requests a minute, as vendors do: it refuses with 429, and says so in headers.

    python -m benchmarks.limited sliding --limit 600    prints its port, and runs until interrupted

`fixed` counts from one full minute to the next, `sliding` in any sixty seconds, `bucket` refills all the time.
`GET /counts` tells what came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import time
from collections import deque
from typing import Any, Protocol

__all__ = ["LIMITERS", "Bucket", "Fixed", "Limiter", "Sliding"]

_MINUTE_SECONDS = 60.0


class Limiter(Protocol):
    """Takes a request or refuses it. `left` and `reset` are what the headers say."""

    def take(self, now: float) -> float:
        """Return 0.0, or after how many seconds to come again."""

    def left(self, now: float) -> tuple[int, float]:
        """Return how many are left, and in how many seconds there are all of them again."""


class Fixed:
    """Counts from one full minute to the next. `phase` is where the first one begins."""

    def __init__(self, limit: int, phase: float = 0.0) -> None:
        self.limit, self.phase = limit, phase
        self._minute, self._used = -1, 0

    def take(self, now: float) -> float:
        self._turn(now)
        if self._used >= self.limit:
            return self.left(now)[1]
        self._used += 1
        return 0.0

    def left(self, now: float) -> tuple[int, float]:
        self._turn(now)
        return self.limit - self._used, _MINUTE_SECONDS - (now + self.phase) % _MINUTE_SECONDS

    def _turn(self, now: float) -> None:
        minute = int((now + self.phase) // _MINUTE_SECONDS)
        if minute != self._minute:
            self._minute, self._used = minute, 0


class Sliding:
    """No more than the limit in any sixty seconds."""

    def __init__(self, limit: int, phase: float = 0.0) -> None:
        self.limit = limit
        self._taken: deque[float] = deque()

    def take(self, now: float) -> float:
        self._forget(now)
        if len(self._taken) >= self.limit:
            return self._taken[0] + _MINUTE_SECONDS - now
        self._taken.append(now)
        return 0.0

    def left(self, now: float) -> tuple[int, float]:
        self._forget(now)
        reset = self._taken[-1] + _MINUTE_SECONDS - now if self._taken else 0.0
        return self.limit - len(self._taken), reset

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0] <= now - _MINUTE_SECONDS:
            self._taken.popleft()


class Bucket:
    """Refills all the time. It holds a minute's worth, and is empty at first: the hard case."""

    def __init__(self, limit: int, phase: float = 0.0) -> None:
        self.limit, self.depth = limit, limit
        self._level, self._at = 0.0, -math.inf

    def take(self, now: float) -> float:
        self._fill(now)
        if self._level < 1:
            return (1 - self._level) * _MINUTE_SECONDS / self.limit
        self._level -= 1
        return 0.0

    def left(self, now: float) -> tuple[int, float]:
        self._fill(now)
        return int(self._level), (self.depth - self._level) * _MINUTE_SECONDS / self.limit

    def _fill(self, now: float) -> None:
        if self._at > -math.inf:
            self._level = min(self._level + (now - self._at) * self.limit / _MINUTE_SECONDS, self.depth)
        self._at = now


LIMITERS: dict[str, Any] = {"fixed": Fixed, "sliding": Sliding, "bucket": Bucket}


class _Vendor:
    def __init__(self, limiter: Limiter, limit: int, latency: tuple[float, float]) -> None:
        self.limiter, self.limit, self.latency = limiter, limit, latency
        self.taken: list[float] = []
        self.refused: list[float] = []

    def counts(self) -> dict[str, Any]:
        """Return what came: how many were answered and refused, and the most that came in any sixty seconds."""
        came = sorted(self.taken + self.refused)
        most, start = 0, 0
        for place, at in enumerate(came):
            while came[start] <= at - _MINUTE_SECONDS:
                start += 1
            most = max(most, place - start + 1)
        return {"taken": self.taken, "refused": self.refused, "most_in_a_minute": most}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                await reader.readexactly(length)
                writer.write(self._counted() if head.startswith(b"GET /counts") else await self._answered())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _counted(self) -> bytes:
        return _response(200, self.counts(), {})

    async def _answered(self) -> bytes:
        now = time.monotonic()
        wait = self.limiter.take(now)
        left, reset = self.limiter.left(now)
        headers = {
            "x-ratelimit-limit-requests": self.limit,
            "x-ratelimit-remaining-requests": left,
            "x-ratelimit-reset-requests": f"{reset:.3f}s",
        }
        if wait:
            self.refused.append(now)
            error = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
            return _response(429, error, {**headers, "retry-after": math.ceil(wait)})
        self.taken.append(now)
        await asyncio.sleep(random.uniform(*self.latency))
        return _response(200, _REPLY, headers)


_REPLY = {
    "id": "x", "object": "chat.completion", "created": 1, "model": "limited",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}  # fmt: skip


def _response(status: int, body: Any, headers: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    told = {"content-type": "application/json", "content-length": len(data), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + data


async def _run(vendor: _Vendor) -> None:
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=LIMITERS)
    parser.add_argument("--limit", type=int, default=600)
    parser.add_argument("--phase", type=float, default=0.0)
    parser.add_argument("--latency", type=float, nargs=2, default=(0.3, 1.5))
    given = parser.parse_args()
    limiter = LIMITERS[given.kind](given.limit, given.phase)
    asyncio.run(_run(_Vendor(limiter, given.limit, tuple(given.latency))))


if __name__ == "__main__":
    main()
