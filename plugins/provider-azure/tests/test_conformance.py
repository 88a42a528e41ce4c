"""The suite that every provider runs, over both protocols and both addresses."""

import attrs

from chatport.testing.conformance import conformance
from chatport_azure import provider
from chatport_azure.settings import adapt

_WINDOW = dict.fromkeys(("gpt-4*", "o4-mini", "gpt-5.[45]*", "gpt-6-*", "prod-chat"), "no page that we know tells it")
_EACH = ("gpt-4o", "o4-mini", "gpt-5.1", "gpt-5.4", "gpt-6-sol", "prod-chat")
OLDER = attrs.evolve(adapt(provider, {"base_url": "https://x.example", "api_version": "2024-10-21"}), adapt=None)

TestChat = conformance("azure", model="gpt-5-mini", protocol="chat", quirks=74, context_unknown=_WINDOW)
TestResponses = conformance("azure", model="gpt-5.6-luna", protocol="responses", context_unknown=_WINDOW)
TestEach = conformance("azure", models=_EACH, context_unknown=_WINDOW)
TestDeployments = conformance(OLDER, model="gpt-5-mini", context_unknown=_WINDOW)
