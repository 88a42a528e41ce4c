"""Many small calls as a machine without I/O but its file: which item is next, what is handed over, what is kept."""
