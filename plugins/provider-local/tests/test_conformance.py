"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestVllm = conformance("vllm")
TestOllama = conformance("ollama")
TestLmStudio = conformance("lmstudio")
TestLlamaCpp = conformance("llamacpp")
TestMistralRs = conformance("mistralrs")
TestTransformers = conformance("transformers")
TestMlx = conformance("mlx")
