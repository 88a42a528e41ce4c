"""A gateway in a process of its own, to be killed: `python serve.py CONFIG`. It says when it serves."""

from __future__ import annotations

import json
import sys

import structlog

from chatport_gateway import Gateway, make_server

if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with open(sys.argv[1]) as file:
        server = make_server(Gateway(json.load(file)))
    server.run()
