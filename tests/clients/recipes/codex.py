"""Codex, which speaks Responses only; one of its tools takes a free text.

Its own sandbox needs a system that lets it make one, so it is off.
"""

from ..recipe import PROMPT, Call, Recipe, shell_loop

_PATCH = """*** Begin Patch
*** Add File: added.txt
+by a tool with a free text
*** End Patch
"""

RECIPE = Recipe(
    title="Codex CLI",
    npm=("@openai/codex@0.171.0",),
    told="codex",
    place=".codex/config.toml",
    command=(
        "codex debug models 2> errors.txt"
        ' | chatport serve --print-config codex-models --model "$MODEL" > ~/.codex/chatport-models.json\n'
        "codex exec --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox"
        f""" -c 'model_catalog_json="~/.codex/chatport-models.json"' "{PROMPT}\"\n"""
        "grep 'free text' added.txt"
    ),
    steps=(Call("apply_patch", {"input": _PATCH}), *shell_loop("exec_command", "cmd")),
)
