"""Real clients in front of the gateway: `make test-clients`. Installed when asked for, and not part of `make test`."""
