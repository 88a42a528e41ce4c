"""Plugins found, checked, put in order, compiled into plans, and blamed by name where they fail."""
