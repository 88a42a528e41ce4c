"""What a client costs: a fake vendor on loopback, contenders, and what runs one against the other. See README.md."""
