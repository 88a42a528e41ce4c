"""Words for messages to people: which names are near enough to be the one that was meant."""

from __future__ import annotations

import pytest

from chatport.basics.words import near_miss
from chatport.inputs.options import CHAT_OPTIONS

VENDORS = ("acme", "groq", "lmstudio", "mistralrs", "mlx", "openai", "openrouter", "together", "vllm")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("openia", "openai"),
        ("opnai", "openai"),
        ("OpenAI", "openai"),
        ("open-ai", "openai"),
        ("lm-studio", "lmstudio"),
        ("openruoter", "openrouter"),
        ("togehter", "together"),
        ("acne", "acme"),
        ("gorq", "groq"),
        ("gro", "groq"),
        ("groqq", "groq"),
        ("vlm", "vllm"),
    ],
)
def test_a_slip_of_the_hand_is_a_near_miss(word: str, meant: str) -> None:
    assert near_miss(word, VENDORS) == f" Did you mean {meant!r}?"


@pytest.mark.parametrize(
    "word",
    [
        "grok",
        "mistral",
        "mlc",
        "azure-openai",
        "gemini",
        "router",
        "perplexity",
        "openai2",
        "lm",
        "x",
        "",
        "acme9",
        "llvm",
        "vmll",
    ],
)
def test_another_name_is_none(word: str) -> None:
    """A vendor that we do not know is no misspelt one that we do."""
    assert near_miss(word, VENDORS) == ""


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("temprature", "temperature"),
        ("maxtokens", "max_tokens"),
        ("max_completion_tokens", "max_tokens"),
        ("reasoning_effort", "reasoning"),
        ("stop_sequences", "stop"),
        ("tool", "tools"),
        ("top_k", None),
        ("min_p", None),
        ("user", None),
        ("logprobs", None),
        ("frequency_penalty", None),
    ],
)
def test_the_name_of_an_option_may_have_a_part_more(option: str, meant: str | None) -> None:
    """What another library calls the same is near; another parameter is not, however alike it is spelt."""
    assert near_miss(option, CHAT_OPTIONS, parts=True) == (f" Did you mean {meant!r}?" if meant else "")


def test_a_slip_is_found_behind_many_names_that_are_nearer() -> None:
    """The next versions of a name have more of it in common, and are other names."""
    others = [f"gpt-5.{number}-turbo" for number in (1, 3, 4, 5, 6, 7, 8, 9)]
    assert near_miss("gpt-5.2-turbo", [*others, "gpt_5_2_turbo"]) == " Did you mean 'gpt_5_2_turbo'?"
    assert near_miss("gpt-5.2-turbo", others) == near_miss("gpt-5.2-turbo", []) == ""
