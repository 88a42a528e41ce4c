"""The clients, each in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping

from ..recipe import Recipe
from . import (
    agents_js,
    ai_sdk,
    aider,
    anthropic_js,
    claude_code,
    cline,
    codex,
    continue_cli,
    llm,
    openai_js,
    opencode,
    qwen_code,
)

__all__ = ["RECIPES"]

RECIPES: Mapping[str, Recipe] = {
    "codex": codex.RECIPE,
    "claude-code": claude_code.RECIPE,
    "opencode": opencode.RECIPE,
    "qwen-code": qwen_code.RECIPE,
    "continue": continue_cli.RECIPE,
    "cline": cline.RECIPE,
    "aider": aider.RECIPE,
    "llm": llm.RECIPE,
    "openai-node": openai_js.RECIPE,
    "anthropic-node": anthropic_js.RECIPE,
    "ai-sdk": ai_sdk.RECIPE,
    "openai-agents": agents_js.RECIPE,
}
"""By their names; nothing is installed before it is asked for."""
