"""The suite that every provider runs, for both protocols."""

from chatport.testing.conformance import conformance

TestMessages = conformance("anthropic", quirks=143)
TestChat = conformance("anthropic", model="claude-haiku-4-5", protocol="chat")
TestChatOfItsNewestModels = conformance("anthropic", model="claude-opus-5-5", protocol="chat")
