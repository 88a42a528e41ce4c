"""Limits that several processes share: by GCRA and by stocks, in Valkey or Redis, with permits leased ahead.

`limits.py` has the two kinds of limit as one process keeps them, `leases.py` what a process holds of a shared one,
`script.lua` what the server does, all at once, `server.py` the thread that asks it. The client library for it is an
extra, `chatport-core[redis]`, and imported when a store is named.
"""
