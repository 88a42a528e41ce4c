"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance(
    "openrouter",
    quirks=110,
    context_unknown={"*": "it differs from endpoint to endpoint of one model; the list of models says it"},
)
