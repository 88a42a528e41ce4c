"""Limits that several processes share: by GCRA and by stocks, in Valkey or Redis, with permits leased ahead.

`limits.py` has the two kinds of limit as one process keeps them, `leases.py` what a process holds of a shared one,
`script.lua` what the server does, all at once, `server.py` the thread that asks it. The client library for it is an
extra, `chatport-core[redis]`, and imported when a store is named. For what builds on the core, which may import this
room; its names may still change.
"""

from __future__ import annotations

from .leases import Ask as Ask, Demand as Demand, Leases as Leases, Share as Share
from .limits import Limit as Limit, Rate as Rate, Stock as Stock
from .server import LeaseServer as LeaseServer, check_address as check_address, lease_server as lease_server

__all__ = [
    "Ask",
    "Demand",
    "LeaseServer",
    "Leases",
    "Limit",
    "Rate",
    "Share",
    "Stock",
    "check_address",
    "lease_server",
]
