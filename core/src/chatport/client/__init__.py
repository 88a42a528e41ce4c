"""What a program holds: the clients, their streams, and what they share."""
