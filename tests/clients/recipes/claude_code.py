"""Claude Code, which speaks Messages only. Newer versions want a newer Node than this one."""

from ..recipe import PROMPT, Recipe, shell_loop

RECIPE = Recipe(
    title="Claude Code",
    npm=("@anthropic-ai/claude-code@2.1.197",),
    told="claude-code",
    command=f'claude -p "{PROMPT}" --output-format json --allowedTools Bash',
    steps=shell_loop("Bash", description="Calculate"),
)
