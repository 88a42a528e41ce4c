"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

_WINDOW = {"*": "whoever starts the server sets the window"}

TestVllm = conformance("vllm", quirks=160, context_unknown=_WINDOW)
TestOllama = conformance("ollama", quirks=160, context_unknown=_WINDOW)
TestLmStudio = conformance("lmstudio", quirks=160, context_unknown=_WINDOW)
TestLlamaCpp = conformance("llamacpp", quirks=160, context_unknown=_WINDOW)
TestMistralRs = conformance("mistralrs", quirks=160, context_unknown=_WINDOW)
TestTransformers = conformance("transformers", quirks=160, context_unknown=_WINDOW)
TestMlx = conformance("mlx", quirks=160, context_unknown=_WINDOW)
