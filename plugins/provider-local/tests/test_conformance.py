"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

_WINDOW = {"*": "whoever starts the server sets the window"}

TestVllm = conformance("vllm", quirks=163, context_unknown=_WINDOW)
TestVllmResponses = conformance("vllm", protocol="responses", context_unknown=_WINDOW)
TestOllama = conformance("ollama", quirks=163, context_unknown=_WINDOW)
TestOllamaResponses = conformance("ollama", protocol="responses", context_unknown=_WINDOW)
TestLmStudio = conformance("lmstudio", quirks=163, context_unknown=_WINDOW)
TestLmStudioResponses = conformance("lmstudio", protocol="responses", context_unknown=_WINDOW)
TestLlamaCpp = conformance("llamacpp", quirks=163, context_unknown=_WINDOW)
TestLlamaCppResponses = conformance("llamacpp", protocol="responses", context_unknown=_WINDOW)
TestMistralRs = conformance("mistralrs", quirks=163, context_unknown=_WINDOW)
TestTransformers = conformance("transformers", quirks=163, context_unknown=_WINDOW)
TestMlx = conformance("mlx", quirks=163, context_unknown=_WINDOW)
