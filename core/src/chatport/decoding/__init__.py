"""From bytes to events, replies and errors: event streams, bodies, failures, hints, keys taken out."""
