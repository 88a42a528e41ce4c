"""How a release is made: its version and its changelog out of `changes/`, every package, their checks, what is in them.

`make release` shows all of it and changes nothing; nothing here publishes.
"""
