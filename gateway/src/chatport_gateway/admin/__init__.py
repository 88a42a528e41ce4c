"""The admin port: keys, limits and usage of a team over HTTP, on a port and with a token of its own.

`routes.py` is the table of what there is: it serves, and it describes. `docs/gateway-admin.md` is for its users.
"""
