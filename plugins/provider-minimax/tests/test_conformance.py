"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("minimax", quirks=69, error_codes=(1002, 1004, 1008, 1026, 1039, 1042, 2013, 2056, 2061))
