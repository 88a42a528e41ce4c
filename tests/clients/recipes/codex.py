"""Codex, which speaks Responses only. Its own sandbox needs a system that lets it make one, so it is off."""

from ..recipe import PROMPT, Recipe, shell_loop

RECIPE = Recipe(
    title="Codex CLI",
    npm=("@openai/codex@0.171.0",),
    told="codex",
    place=".codex/config.toml",
    command=f'codex exec --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox "{PROMPT}"',
    steps=shell_loop("exec_command", "cmd"),
)
