"""The suite that every provider runs, for both protocols."""

import attrs

from chatport.testing.conformance import conformance
from chatport_anthropic import provider
from chatport_anthropic.settings import adapt

COMPATIBLE = attrs.evolve(adapt(provider, {"protocol": "openai"}), adapt=None)

TestConformance = conformance("anthropic", quirks=143)
TestConformanceOfTheCompatibleEndpoint = conformance(COMPATIBLE, model="claude-haiku-4-5")
TestConformanceOfItsNewestModels = conformance(COMPATIBLE, model="claude-opus-5-5")
