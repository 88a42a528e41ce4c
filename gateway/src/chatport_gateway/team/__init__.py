"""The gateway for a team: keys, budgets, limits and records. `docs/gateway-team.md` shows how it fits together."""
