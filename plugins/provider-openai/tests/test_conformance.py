"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestChat = conformance("openai", model="gpt-6-sol", protocol="chat", quirks=130)
TestResponses = conformance("openai", model="gpt-6-sol", protocol="responses")
TestEach = conformance("openai", model="gpt-6-sol")
