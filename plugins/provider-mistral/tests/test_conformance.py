"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

_UNKNOWN = {"mistral-vibe-cli-latest": "no page that was read says it"}
TestConformance = conformance("mistral", quirks=90, context_unknown=_UNKNOWN)
TestAnotherFamily = conformance("mistral", model="mistral-large-latest", context_unknown=_UNKNOWN)
TestThirdParty = conformance("mistral", model="zai-glm-5-2", context_unknown=_UNKNOWN)
