"""A release: what follows from the notes, what is written where, and what the packages say. See `release/`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import attrs
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from release.artifacts import Artifact, artifacts_in, build, check_metadata
from release.fragments import Fragment, ReleaseError, fragments_in, next_version, notes_of, section, with_section
from release.members import Member, members, set_version, settings_of, specifier
from release.sbom import applies, pins_in, sbom
from release.staging import absolute_links, dress

ROOT = Path(__file__).resolve().parent.parent
EPOCH = "1767225600"
CHANGELOG = "# Changelog\n\n## Unreleased\n\nSee the fragments.\n\n## 1.4.2 (2026-01-01)\n\n### Fixed\n\n* A bug.\n"


def note(kind: str, topic: str = "a-topic") -> Fragment:
    return Fragment(topic, kind, f"Something is {kind}.")


# --- the version that follows


@pytest.mark.parametrize(
    ("current", "kinds", "version"),
    [
        ("0.1.0", ["fixed"], "0.1.1"),
        ("0.1.0", ["fixed", "added"], "0.2.0"),
        ("0.1.3", ["changed"], "0.2.0"),
        ("0.1.3", ["removed"], "0.2.0"),
        ("1.4.2", ["fixed", "fixed"], "1.4.3"),
        ("1.4.2", ["added"], "1.5.0"),
        ("1.4.2", ["changed", "fixed"], "1.5.0"),
        ("1.4.2", ["fixed", "removed"], "2.0.0"),
        ("1.4.2", [], "1.4.2"),
    ],
)
def test_the_next_version_follows_from_what_the_notes_say(current: str, kinds: list[str], version: str) -> None:
    released = CHANGELOG.replace("1.4.2", current)
    assert next_version(current, [note(kind) for kind in kinds], released)[0] == version


def test_a_version_that_was_never_released_is_the_next_one() -> None:
    assert next_version("2.0.0", [note("removed")], CHANGELOG)[0] == "2.0.0"


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3.4", "1.2.3-beta", "one", "1.2.3; ls"])
def test_a_version_that_is_none_is_refused(version: str) -> None:
    with pytest.raises(ReleaseError, match="is no version"):
        specifier(version)


# --- the changelog


@pytest.mark.parametrize("name", ["a.deprecated.md", "A_Topic.added.md", "notes.txt", "added.md"])
def test_a_file_in_changes_that_is_no_fragment_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("How to write one.", "utf-8")
    (tmp_path / name).write_text("Something.", "utf-8")
    with pytest.raises(ReleaseError, match=re.escape(name)):
        fragments_in(tmp_path)


def test_a_fragment_that_says_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a-topic.added.md").write_text("\n", "utf-8")
    with pytest.raises(ReleaseError, match="says nothing"):
        fragments_in(tmp_path)


def test_every_fragment_of_this_repository_can_be_collected() -> None:
    notes = fragments_in(ROOT / "changes")
    text = section("9.9.9", "2026-01-01", notes)
    assert len(notes) == len(list((ROOT / "changes").glob("*.md"))) - 1
    for one in notes:
        assert " ".join(one.text.split()) in " ".join(text.split()), one.topic


def test_a_section_stands_before_the_older_ones_and_can_be_read_back() -> None:
    notes = [Fragment("b", "removed", "B is gone."), Fragment("a", "added", "A is new.\n\nIt does\nmuch.")]
    changelog = with_section(CHANGELOG, section("1.5.0", "2026-02-02", notes))
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE) == ["Unreleased", "1.5.0", "1.4.2"]
    assert (
        notes_of(changelog, "1.5.0") == "### Removed\n\n* B is gone.\n\n### Added\n\n* A is new.\n\n  It does\n  much."
    )
    assert notes_of(changelog, "1.4.2") == "### Fixed\n\n* A bug."
    assert notes_of(changelog, "9.9.9") == ""


# --- versions and what the packages take of one another


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of what a version is written into."""
    tree = tmp_path / "tree"
    for path in [
        *ROOT.glob("pyproject.toml"),
        *ROOT.glob("[!.]*/pyproject.toml"),
        *ROOT.glob("[!.]*/*/pyproject.toml"),
        *(path.parent / "README.md" for path in ROOT.glob("[!.]*/pyproject.toml")),
        *(path.parent / "README.md" for path in ROOT.glob("[!.]*/*/pyproject.toml")),
        *ROOT.glob("docs/*.md"),
        ROOT / "docs/generate_bundle.py",
        ROOT / "core/src/chatport/basics/version.py",
    ]:
        (tree / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tree / path.relative_to(ROOT))
    return tree


def requirements(tree: Path, *, extras: bool = True) -> list[tuple[str, Requirement]]:
    """Return what each distribution takes of ours, with its extras."""
    ours = {one.name for one in members(tree)}
    found = []
    for one in members(tree):
        project = tomllib.loads((tree / one.folder / "pyproject.toml").read_text("utf-8"))["project"]
        more = project.get("optional-dependencies", {}).values() if extras else ()
        texts = [*project["dependencies"], *(text for extra in more for text in extra)]
        found += [(one.name, Requirement(text)) for text in texts if Requirement(text).name in ours]
    return found


def test_every_distribution_is_known_and_comes_after_what_it_needs() -> None:
    ours = members(ROOT)
    folders = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert {one.folder for one in ours} >= folders | {"core", "protocols/responses", "surfaces", "gateway", "bundle"}
    places = {one.name: place for place, one in enumerate(ours)}
    for name, requirement in requirements(ROOT, extras=False):  # an extra may name what builds on the core
        assert places[requirement.name] < places[name], f"{name} would be there before {requirement.name}"


@pytest.mark.parametrize(
    ("version", "taken", "refused"),
    [
        ("0.2.0", ["0.2.0", "0.2.7"], ["0.1.9", "0.3.0"]),
        ("0.1.1", ["0.1.1", "0.1.2"], ["0.1.0", "0.2.0"]),
        ("1.0.0", ["1.0.0", "1.0.9"], ["0.9.0", "1.1.0"]),
        ("0.2.0rc1", ["0.2.0rc1", "0.2.0"], ["0.2.0b1", "0.3.0"]),
    ],
)
def test_a_version_is_written_into_everything_at_once(
    version: str, taken: list[str], refused: list[str], tree: Path
) -> None:
    before = len(requirements(tree))
    assert set_version(tree, version)
    assert {one.version for one in members(tree)} == {version}
    assert f'__version__ = "{version}"' in (tree / "core/src/chatport/basics/version.py").read_text("utf-8")
    found = requirements(tree)
    assert len(found) == before >= 40
    for name, requirement in found:
        assert all(Version(one) in requirement.specifier for one in taken), (name, str(requirement))
        assert not any(Version(one) in requirement.specifier for one in refused), (name, str(requirement))
    assert set_version(tree, version) == []


@pytest.mark.parametrize("version", ["0.2.0", "0.1.1", "0.2.0rc1"])
def test_the_generator_of_the_bundle_writes_what_a_release_writes(version: str, tree: Path) -> None:
    set_version(tree, version)
    written = (tree / "bundle/pyproject.toml").read_text("utf-8")
    subprocess.run([sys.executable, tree / "docs/generate_bundle.py"], check=True)
    assert (tree / "bundle/pyproject.toml").read_text("utf-8") == written


def test_the_manual_writes_packages_for_the_new_version(tree: Path) -> None:
    set_version(tree, "0.7.3")
    pages = "".join(page.read_text("utf-8") for page in tree.glob("docs/*.md"))
    assert set(re.findall(r"chatport-core>=[\d.]+,<[\d.]+", pages)) == {"chatport-core>=0.7,<0.8"}


# --- addresses


def test_one_setting_gives_every_distribution_its_addresses(tree: Path) -> None:
    settings = attrs.evolve(settings_of(ROOT), repository="https://forge.example/chatport/chatport")
    dress(tree, settings, "0.2.0")
    for one in members(tree):
        project = tomllib.loads((tree / one.folder / "pyproject.toml").read_text("utf-8"))["project"]
        assert project["urls"]["Source"] == f"https://forge.example/chatport/chatport/tree/v0.2.0/{one.folder}"
        assert project["urls"].keys() == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
        readme = (tree / one.folder / "README.md").read_text("utf-8")
        links = re.findall(r"\]\(([^)]+)\)", re.sub(r"```.*?```", "", readme, flags=re.DOTALL))
        assert all(re.match(r"https?:|#", link) for link in links), links


def test_without_that_setting_nothing_is_invented(tree: Path) -> None:
    assert settings_of(ROOT).repository == "", "then this test has nothing to show any more: remove it"
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    dress(tree, settings_of(ROOT), "0.2.0")
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


def test_relative_links_become_absolute_and_code_stays() -> None:
    page = (
        "[a](../README.md#x) [b](#here) ![c](c.svg)\n\n"
        "```text\n[a](../README.md)\n```\n[d](https://d.example) [e](src/e.py)\n"
    )
    assert absolute_links(page, "https://h.example/o/n", "core", "1.0.0") == (
        "[a](https://h.example/o/n/blob/v1.0.0/README.md#x) [b](#here) ![c](https://h.example/o/n/raw/v1.0.0/core/c.svg)\n\n"
        "```text\n[a](../README.md)\n```\n[d](https://d.example) [e](https://h.example/o/n/blob/v1.0.0/core/src/e.py)\n"
    )
    with pytest.raises(ReleaseError, match="out of the repository"):
        absolute_links("[a](../../secret.md)", "https://h.example/o/n", "core", "1.0.0")


# --- packages


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Member], list[Artifact]]:
    """Return two distributions of this repository, built."""
    out = tmp_path_factory.mktemp("built")
    ours = [one for one in members(ROOT) if one.folder in ("core", "protocols/responses")]
    for one in ours:
        build(ROOT, one, out, EPOCH)
    return ours, artifacts_in(out, ours)


def test_the_same_sources_give_the_same_bytes(built: tuple[list[Member], list[Artifact]], tmp_path: Path) -> None:
    ours, artifacts = built
    copy = tmp_path / "another/place"
    shutil.copytree(ROOT / "protocols", copy / "protocols", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / ".gitignore", copy / ".gitignore")
    (copy / "protocols/responses/README.md").touch()  # other times of files
    build(copy, ours[1], tmp_path / "out", EPOCH)
    again = artifacts_in(tmp_path / "out", ours[1:])
    assert [one.sha256 for one in again] == [one.sha256 for one in artifacts[2:]]


def test_a_package_says_what_each_of_ours_must_say(built: tuple[list[Member], list[Artifact]]) -> None:
    ours, artifacts = built
    settings = settings_of(ROOT)
    names = {one.name for one in ours}
    for one, artifact in zip([ours[0], ours[0], ours[1], ours[1]], artifacts, strict=True):
        check_metadata(artifact, one, settings, names)
    with pytest.raises(ReleaseError, match="classifiers is"):
        check_metadata(artifacts[2], ours[1], attrs.evolve(settings, classifiers=("Typing :: Typed",)), names)
    with pytest.raises(ReleaseError, match=r"version is .*takes chatport-core"):
        check_metadata(artifacts[2], attrs.evolve(ours[1], version="0.9.0"), settings, names)
    with pytest.raises(ReleaseError, match="project_urls is"):
        check_metadata(artifacts[2], ours[1], attrs.evolve(settings, repository="https://h.example/o/n"), names)


def test_a_file_that_is_missing_or_strange_stops_the_release(built: tuple[list[Member], list[Artifact]]) -> None:
    ours, artifacts = built
    with pytest.raises(ReleaseError, match="not the files of a release"):
        artifacts_in(artifacts[0].path.parent, ours[:1])


# --- what is in it


def test_the_sbom_lists_all_that_comes_along_and_nothing_else(built: tuple[list[Member], list[Artifact]]) -> None:
    ours, artifacts = built
    pins = pins_in((ROOT / "requirements/dev.txt").read_text("utf-8"))
    text = sbom(ours, artifacts, pins, EPOCH)
    document = json.loads(text)
    components = {one["bom-ref"]: one for one in document["components"]}
    names = {one["name"] for one in components.values()}
    project = tomllib.loads((ROOT / "core/pyproject.toml").read_text("utf-8"))["project"]
    assert names >= {Requirement(text).name for text in project["dependencies"]} | {"h11", "zipp"}
    assert not names & {"pytest", "ruff", "trio", "build", "opentelemetry-api", "setuptools"}
    for artifact in artifacts:
        assert text.count(artifact.sha256) == 1
    for one in components.values():
        if one["name"] not in {own.name for own in ours}:
            (reference,) = one["externalReferences"]
            assert {entry["content"] for entry in reference["hashes"]} == set(pins[one["name"]].hashes)
    refs = {entry["ref"] for entry in document["dependencies"]}
    assert refs == components.keys() | {document["metadata"]["component"]["bom-ref"]}
    assert all(refs >= set(entry["dependsOn"]) for entry in document["dependencies"])
    assert sbom(ours, artifacts, pins, EPOCH) == text


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("x", True),
        ('x; sys_platform == "win32"', True),
        ('x; python_version < "3.13"', True),
        ('x; python_version < "3.11"', False),
        ('x; extra == "http2"', False),
        ('x; platform_python_implementation == "PyPy"', False),
    ],
)
def test_what_any_of_our_systems_and_pythons_needs_is_listed(text: str, holds: bool) -> None:
    assert applies(Requirement(text), frozenset()) is holds
    assert applies(Requirement('x; extra == "http2"'), frozenset({"http2"}))


def test_what_is_not_pinned_is_not_listed_as_if_it_were(built: tuple[list[Member], list[Artifact]]) -> None:
    pins = pins_in((ROOT / "requirements/dev.txt").read_text("utf-8"))
    del pins["zipp"]
    with pytest.raises(ReleaseError, match=r"importlib-metadata needs zipp.*make lock"):
        sbom(*built, pins, EPOCH)


# --- from the command line


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "release", "--quick", *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def git(tree: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@a.example", *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with two distributions and two notes, that was released once as 0.1.0."""
    tree = tmp_path / "checkout"
    tree.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("release", "protocols", "requirements"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignore)
    for file in ("pyproject.toml", ".gitignore", "core/pyproject.toml", "core/README.md", "core/LICENSE"):
        (tree / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / file, tree / file)
    (tree / "core/src/chatport/basics").mkdir(parents=True)
    (tree / "core/src/chatport/basics/version.py").write_text('"""V."""\n\n__version__ = "0.1.0"\n', "utf-8")
    set_version(tree, "0.1.0")
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace("1.4.2", "0.1.0"), "utf-8")
    (tree / "changes").mkdir()
    (tree / "changes/README.md").write_text("How to write one.\n", "utf-8")
    (tree / "changes/new-thing.added.md").write_text("A new thing.\n", "utf-8")
    (tree / "changes/old-bug.fixed.md").write_text("An old bug.\n", "utf-8")
    git(tree, "init", "--quiet")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "Begin")
    return tree


@pytest.mark.slow
def test_a_release_is_shown_then_written_then_tagged(checkout: Path) -> None:
    shown = run(checkout)
    assert shown.returncode == 0, shown.stderr
    assert "== version 0.2.0: something was added; 2 fragments" in shown.stdout
    assert "chatport_protocol_responses-0.2.0-py3-none-any.whl" in shown.stdout
    assert "nothing in the checkout was changed" in shown.stdout
    assert git(checkout, "status", "--porcelain") == ""
    assert (checkout / "dist/release/NOTES.md").read_text("utf-8").startswith("### Added\n\n* A new thing.\n")
    first = (checkout / "dist/release/SHA256SUMS").read_text("utf-8")

    written = run(checkout, "--version", "0.2.0", "--write")
    assert written.returncode == 0, written.stderr
    assert sorted(line[3:] for line in git(checkout, "status", "--porcelain").splitlines()) == [
        "CHANGELOG.md",
        "changes/new-thing.added.md",
        "changes/old-bug.fixed.md",
        "core/pyproject.toml",
        "core/src/chatport/basics/version.py",
        "protocols/responses/pyproject.toml",
    ]
    refused = run(checkout, "--write")
    assert refused.returncode == 1
    assert "not committed" in refused.stderr

    git(checkout, "commit", "--quiet", "--all", "--message", "Release 0.2.0")
    epoch = git(checkout, "log", "-2", "--format=%ct").split()[-1]
    tagged = subprocess.run(
        [sys.executable, "-m", "release", "--quick", "--tag", "v0.2.0"],
        cwd=checkout, env={**os.environ, "SOURCE_DATE_EPOCH": epoch},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tagged.returncode == 0, tagged.stderr
    assert (checkout / "dist/release/SHA256SUMS").read_text("utf-8") == first  # what was shown is what is published
    assert (checkout / "dist/release/NOTES.md").read_text("utf-8").startswith("### Added\n\n* A new thing.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tag", "v0.2.0"], "the tree is v0.2.0 with 2 fragments to collect"),
        (["--tag", "v0.1.0; rm -rf ."], "the tag is v0.1.0; rm -rf ."),
        (["--version", "2.0"], "'2.0' is no version"),
    ],
)
def test_a_release_that_does_not_fit_is_refused_before_anything_is_built(
    arguments: list[str], words: str, checkout: Path
) -> None:
    done = run(checkout, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert not (checkout / "dist").exists()


def test_packages_of_different_versions_are_not_released(checkout: Path) -> None:
    path = checkout / "protocols/responses/pyproject.toml"
    path.write_text(path.read_text("utf-8").replace('version = "0.1.0"', 'version = "0.1.7"'), "utf-8")
    done = run(checkout)
    assert done.returncode == 1
    assert "not all distributions have one version: ['0.1.0', '0.1.7']" in done.stderr
