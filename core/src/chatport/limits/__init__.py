"""What calls may cost and how fast they may go: pacing, breakers, retries, budgets, estimates, policy."""
