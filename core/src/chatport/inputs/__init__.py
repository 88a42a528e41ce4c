"""What a caller gives, read into values: messages, tools, output types, earlier answers."""
