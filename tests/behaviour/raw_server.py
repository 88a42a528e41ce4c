"""A server of exact bytes: each connection plays what the test wrote, and the test decides when it goes on."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

__all__ = ["Connection", "RawServer", "chunked", "free_port", "head"]

Script = Callable[["Connection"], None]


def head(status: int = 200, *, content_type: str = "text/event-stream", **headers: str | int) -> bytes:
    """Return a response's head; `_` in a name stands for `-`."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunked(*pieces: bytes, last: bool = True) -> bytes:
    """Return the pieces as HTTP chunks, with the last chunk unless told otherwise."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return framed + (b"0\r\n\r\n" if last else b"")


class Connection:
    """One accepted connection, in its own thread."""

    def __init__(self, sock: socket.socket, server: RawServer) -> None:
        self._sock = sock
        self._server = server
        self._buffer = b""

    def request(self) -> bytes:
        """Read one whole request; b"" if the client has left."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return b""
        top, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = 0
        for line in top.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(rest) < length and self._receive():
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        request = top + b"\r\n\r\n" + rest[:length]
        self._server.requests.append(request)
        return request

    def _receive(self) -> bool:
        try:
            data = self._sock.recv(65536)
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        """Write bytes. A client that has left is an ordinary end."""
        self._sock.sendall(data)

    def until_left(self) -> None:
        """Wait until the client closes its end (or the server stops), saying nothing."""
        while self._receive():
            pass

    def reset(self) -> None:
        """Break the connection with a reset, in place of an orderly end."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def hang(self) -> None:
        """Keep the connection open and silent until the server stops."""
        self._server.stopping.wait()


class RawServer:
    """Listens on 127.0.0.1. Connections play `scripts` in order; the last one is played for all that follow."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self.threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        """How many connections the client has not closed yet."""
        return sum(thread.is_alive() for thread in self.threads)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(sock)
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, script), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, script: Script) -> None:
        with sock, contextlib.suppress(OSError):
            script(Connection(sock, self))
        with self._lock:
            self._open.discard(sock)


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """Hold a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
