"""One call as one sans-I/O state machine: it yields what it wants done, and two thin loops do it."""
