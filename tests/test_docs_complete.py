"""The manual leaves nothing out: hooks, public names, commands and options, configuration keys, links."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import attrs
import click
import pytest

import chatport
import chatport.hooks
import chatport.setup.config
import chatport.testing
from chatport.cli import group
from chatport.errors import ChatportError
from chatport.inputs.options import ChatOptions
from chatport.limits.timeouts import Timeouts

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
    *sorted(ROOT.glob("protocols/*/README.md")),
    ROOT / "surfaces" / "README.md",
]
CORE = ROOT / "core" / "src" / "chatport"


def text_of(*names: str) -> str:
    return "\n".join((DOCS / name).read_text("utf-8") for name in names)


MANUAL = text_of(*(page.name for page in DOCS.glob("*.md")))
COMMAND_LINE = text_of("command-line.md")


@pytest.mark.parametrize("generator", sorted(DOCS.glob("generate_*.py")), ids=lambda path: path.stem)
def test_a_generated_page_is_what_its_generator_writes(generator: Path) -> None:
    done = subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["hooks", "vendors"])
def test_a_stale_page_is_found(name: str, tmp_path: Path) -> None:
    """The check of a page fails over a page that says something else, and names the target that mends it."""
    for file in (f"generate_{name}.py", f"{name}.md"):
        shutil.copy(DOCS / file, tmp_path)
    with (tmp_path / f"{name}.md").open("a", encoding="utf-8") as page:
        page.write("\nOnce true.\n")
    check: list[str | Path] = [sys.executable, tmp_path / f"generate_{name}.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "run `make docs`" in done.stderr


@pytest.mark.parametrize("name", [name for name in vars(chatport.hooks.ProviderHooks) if not name.startswith("_")])
def test_every_hook_is_described_with_its_arguments(name: str) -> None:
    section = re.search(rf"^### {name}\n(.*?)^##", text_of("hooks.md"), re.MULTILINE | re.DOTALL)
    assert section is not None
    hook = getattr(chatport.hooks.ProviderHooks, name)
    for argument in hook.__code__.co_varnames[1 : hook.__code__.co_argcount]:
        assert f"{argument}: " in section[1]
    assert hook.__doc__.splitlines()[0] in section[1]


@pytest.mark.parametrize(
    "name", ["Call", "Context", "WireRequest", "WireTools", "Verdict", "Failure", "ModelFacts", "Provider", "Dialect"]
)
def test_every_field_of_a_value_is_in_the_hook_reference(name: str) -> None:
    section = re.search(rf"^### {name}\n(.*?)(^###|\Z)", text_of("hooks.md"), re.MULTILINE | re.DOTALL)
    assert section is not None
    for field in attrs.fields(getattr(chatport, name)):
        assert f"| `{field.name}` |" in section[1]


@pytest.mark.parametrize("name", chatport.__all__)
def test_every_public_name_is_mentioned(name: str) -> None:
    assert name == "__version__" or re.search(rf"\b{name}\b", MANUAL) is not None, f"no page says what {name} is"


@pytest.mark.parametrize("name", chatport.testing.__all__)
def test_every_name_of_the_testing_kit_is_mentioned(name: str) -> None:
    found = re.search(rf"\b{name}\b", text_of("testing.md", "write-a-provider.md"))
    assert found is not None, f"neither page says what {name} is"


@pytest.mark.parametrize("name", [name for name in chatport.__all__ if name.endswith("Error")])
def test_every_error_is_in_the_table(name: str) -> None:
    assert issubclass(getattr(chatport, name), ChatportError)
    if name != "ChatportError":
        assert re.search(rf"^\| (— )?`{name}` \|", text_of("errors.md"), re.MULTILINE) is not None


@pytest.mark.parametrize("name", list(ChatOptions.__annotations__))
def test_every_option_of_a_call_is_in_the_table(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`.* \|", text_of("first-chat.md"), re.MULTILINE) is not None


def commands() -> Iterator[tuple[str, click.Command]]:
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield name, command


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_is_described_with_its_options(name: str, command: click.Command) -> None:
    section = re.search(rf"^## chatport {name}\n(.*?)(^##|\Z)", COMMAND_LINE, re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = [line for line in section[1].splitlines() if line.startswith("| `-")]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            for option in parameter.opts:
                assert any(re.search(rf"`{option}[ `]", row) for row in rows), option
    for option in re.findall(r"`(-{1,2}[a-z][a-z-]*)", "\n".join(rows)):
        assert option in known, f"{option} does not exist"


def test_the_example_of_chatport_toml_has_every_key() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", text_of("change-vendor.md"), re.DOTALL)
    whole = max(blocks, key=len)
    tables = tomllib.loads(whole)
    wanted = {field.name for field in attrs.fields(chatport.Config)} - {
        "folder",
        "tables",
        "pacing_store",
    }  # of [pacing]
    assert wanted == set(tables) - {"gateway"}  # which is chatport-gateway's, and has a page of its own
    used = {key for table in tables["providers"].values() for key in table}
    assert set(chatport.setup.config.PROVIDER_KEYS) <= used
    for name in ("timeouts", "retry", "limits", "breaker"):
        settings = getattr(chatport.load_config(tables, environment={}), name)
        kind = Timeouts if name == "timeouts" else type(settings)
        assert {field.name for field in attrs.fields(kind)} == set(tables[name])
        defaults = kind()
        assert all(getattr(defaults, key) == value for key, value in tables[name].items()), name


@pytest.mark.parametrize("variable", sorted(set(re.findall(r'"((?:CHATPORT|LLM)_[A-Z_]+|BASE_URL)"', "".join(
    path.read_text("utf-8") for path in CORE.rglob("*.py")
)))))  # fmt: skip
def test_every_environment_variable_is_described(variable: str) -> None:
    found = f"`{variable}`" in text_of("change-vendor.md")
    assert found, f"docs/change-vendor.md does not say what {variable} is for"


@pytest.mark.parametrize("name", sorted(path.name for path in CORE.iterdir() if path.suffix == ".py" or path.is_dir()))
def test_every_room_has_its_place_in_the_architecture(name: str) -> None:
    shown = name if name.endswith(".py") else f"{name}/"
    assert name in ("__init__.py", "__pycache__") or f"`{shown}`" in text_of("architecture.md")


def test_the_table_of_make_targets_is_the_makefile() -> None:
    """CONTRIBUTING lists the targets that `make help` lists, no more and no less."""
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    listed = re.findall(r"^\| `make ([a-z-]+)` \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(targets)


def test_every_helper_named_in_contributing_is_there() -> None:
    """The table of test helpers names files and what is in them."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|]+ \| `(\w+)`[^|]* \| `((?:core/)?tests/[\w/]+\.py)`", text, re.MULTILINE)
    assert len(rows) >= 6
    for name, file in rows:
        assert re.search(rf"^(class|def) {name}\b", (ROOT / file).read_text("utf-8"), re.MULTILINE), (name, file)


def test_hooks_before_a_commit_fetch_nothing() -> None:
    """The hooks of pre-commit are our own tools, each the command of `make lint`."""
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert set(re.findall(r"repo: (.*)", config)) == {"local"}
    entries = re.findall(r"entry: \.venv/bin/python (?:-m )?([\w./]+(?: [a-z]+)?)", config)
    assert entries == ["ruff check", "ruff format", ".ci/sync_client.py"]
    assert all(entry in makefile for entry in entries)


def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if re.match(r"[a-z]+://", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), target


def test_every_page_is_in_the_table_of_contents() -> None:
    index = text_of("index.md")
    assert [page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"({page.name})" not in index] == []


def test_the_page_of_vendors_is_what_the_facts_say() -> None:
    """Each section of docs/vendors.md is what its provider's facts give. A provider may be newer than the page."""
    generator = run_path(str(DOCS / "generate_vendors.py"))
    shown = (DOCS / "vendors.md").read_text("utf-8")
    assert shown.startswith(generator["HEADER"])
    names = re.findall(r"^## .* \(`(\w+)`\)$", shown, re.MULTILINE)
    assert "deepseek" in names
    assert shown == generator["page"](names)


def test_the_table_of_what_an_emulator_can_override_is_whole() -> None:
    table = text_of("write-a-provider.md").partition("All that `VendorEmulator` offers")[2].partition("Two helpers")[0]
    offered = {name for name in vars(chatport.testing.VendorEmulator) if not name.startswith("_")}
    assert offered - set(re.findall(r"`(\w+)", table)) == set()
