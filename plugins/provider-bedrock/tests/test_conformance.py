"""The suite that every provider runs, over both protocols."""

from chatport.testing.conformance import conformance

_EACH = ("openai.gpt-oss-20b", "openai.gpt-5.6-luna", "deepseek.v3.2", "openai.gpt-5.5")

TestChat = conformance("bedrock", model="openai.gpt-oss-20b", protocol="chat", quirks=65)
TestResponses = conformance("bedrock", model="openai.gpt-5.6-luna", protocol="responses")
TestThoughts = conformance("bedrock", model="openai.gpt-oss-20b", protocol="responses")
TestEach = conformance("bedrock", models=_EACH)
