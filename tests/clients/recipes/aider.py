"""aider, which has no tools: it writes what the model says into a file, runs a test, and sends its words back."""

from ..recipe import Recipe, Say

_FILE = "second.txt\n```\n{}\n```\n"

RECIPE = Recipe(
    title="aider",
    pypi=("aider-chat==0.86.2",),
    told="aider",
    command=(
        "echo 41 > second.txt\n"
        'aider --model "openai/$MODEL" --edit-format whole --no-git --yes-always --no-show-release-notes '
        "--no-check-update --analytics-disable --auto-test --test-cmd 'grep 43 second.txt || "
        '{ echo found-$(cat second.txt); exit 1; }\' --message "Make it right." second.txt'
    ),
    steps=(Say(_FILE.format(42)), Say(_FILE.format(43))),
    last="Applied edit to second.txt",
)
