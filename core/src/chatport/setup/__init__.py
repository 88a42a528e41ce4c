"""From configuration to a vendor made ready: files and trust, keys and addresses, targets and shaping."""
