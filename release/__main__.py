"""make release: show what a release would be, or write it into the checkout. Publishes nothing.

    make release                            the version that follows from changes/, everything built and checked
    make release VERSION=0.2.0              another version
    make release VERSION=0.2.0 WRITE=1      the same, and versions, pins and changelog are written into the checkout

What would be published lies in dist/release/packages afterwards; beside it the notes, the hashes and the SBOM.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import attrs

from .artifacts import Artifact, artifacts_in, build, check_metadata, run
from .fragments import ReleaseError, fragments_in, next_version, notes_of, parse_version
from .members import Member, Settings, members, settings_of
from .sbom import pins_in, sbom
from .staging import apply, dress, epoch_of, is_clean, stage

ROOT = Path(__file__).resolve().parent.parent


@attrs.frozen
class Asked:
    """What the command line says."""

    version: str | None
    write: bool
    out: Path
    tools: str | None  # a Python with twine and the schema of CycloneDX
    quick: bool
    tag: str | None


def asked_for(arguments: list[str]) -> Asked:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="release", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--version", default=None, help="the version; without: what follows from changes/")
    parser.add_argument("--write", action="store_true", help="write it into the checkout, too")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/release", help="where the files go (dist/release)")
    parser.add_argument(
        "--tools", help="a Python that has what [dependency-groups] release names; without: those checks are left out"
    )
    parser.add_argument(
        "--quick", action="store_true", help="do not build twice, nor try the packages in an empty environment"
    )
    parser.add_argument("--tag", help="fail unless the tree is that of this tag (v0.2.0), with nothing left to write")
    found = parser.parse_args(arguments)
    tools = None if found.tools is None else str(Path(found.tools).absolute())  # a link, which must stay one
    return Asked(found.version or None, found.write, found.out.resolve(), tools, found.quick, found.tag)


def main(arguments: list[str]) -> int:
    """Do what is asked for; 1 with the reason if a release cannot be made so."""
    try:
        _release(asked_for(arguments))
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


def _release(asked: Asked) -> None:
    settings, notes = settings_of(ROOT), fragments_in(ROOT / "changes")
    current = {one.version for one in members(ROOT)}
    if len(current) != 1:
        raise ReleaseError(f"not all distributions have one version: {sorted(current)}")
    version, why = next_version(current.pop(), notes, (ROOT / "CHANGELOG.md").read_text("utf-8"))
    if asked.version:
        version, why = asked.version, "as you say"
    parse_version(version)
    if asked.tag is not None and (asked.tag != f"v{version}" or notes):
        raise ReleaseError(f"the tag is {asked.tag}, and the tree is v{version} with {len(notes)} fragments to collect")
    if asked.write and not is_clean(ROOT):
        raise ReleaseError("the checkout has changes that are not committed: commit them, or put them away, first")
    print(f"== version {version}: {why}; {len(notes)} fragments", flush=True)
    date = datetime.now(UTC).date().isoformat()
    epoch = epoch_of(ROOT)
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary).resolve() / "tree"
        stage(ROOT, tree)
        apply(tree, version, notes, date)
        dress(tree, settings, version)
        made = _packages(tree, asked, settings, epoch)
        _beside(tree, asked, made, version, epoch)
    if asked.write:
        changed = apply(ROOT, version, notes, date)
        print(f"== written: {len(changed)} files. Look at them (git diff), then:")
        print(f"   git add --all && git commit --message 'Release {version}' && git tag --sign v{version}")
        print(f"   git push origin HEAD v{version}    # the tag starts .github/workflows/release.yml, which publishes")
    else:
        print("== nothing was published, and nothing in the checkout was changed (WRITE=1 writes the version)")


def _packages(tree: Path, asked: Asked, settings: Settings, epoch: str) -> list[Artifact]:
    """Build every package of a staged tree into the folder that was asked for, and check all of them."""
    ours = members(tree)
    packages = asked.out / "packages"
    shutil.rmtree(asked.out, ignore_errors=True)
    packages.mkdir(parents=True)
    print(f"== building {len(ours)} sdists, and as many wheels out of them", flush=True)
    for one in ours:
        build(tree, one, packages, epoch)
    made = artifacts_in(packages, ours)
    print("== metadata", flush=True)
    names = {one.name for one in ours}
    for one, artifact in zip([one for one in ours for _ in range(2)], made, strict=True):
        check_metadata(artifact, one, settings, names)
    if asked.tools is not None:
        run([asked.tools, "-m", "twine", "check", "--strict", *(str(artifact.path) for artifact in made)], tree)
    if not asked.quick:
        print("== once more, in another folder: the same bytes?", flush=True)
        _build_again(tree, ours, made, epoch)
        print(run([sys.executable, str(tree / ".ci/packages.py")], tree), end="", flush=True)
    return made


def _build_again(tree: Path, ours: list[Member], made: list[Artifact], epoch: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        other, out = Path(temporary) / "somewhere-else", Path(temporary) / "out"
        shutil.copytree(tree, other)
        for one in ours:
            build(other, one, out, epoch)
        differ = [
            artifact.name for artifact in made if not filecmp.cmp(artifact.path, out / artifact.name, shallow=False)
        ]
    if differ:
        raise ReleaseError(f"built twice, and not the same: {differ}")


def _beside(tree: Path, asked: Asked, made: list[Artifact], version: str, epoch: str) -> None:
    """Write the notes, the hashes and the SBOM beside the packages, and print what would be published."""
    document = sbom(members(tree), made, pins_in((tree / "requirements/dev.txt").read_text("utf-8")), epoch)
    listed = asked.out / f"chatport-{version}.cdx.json"
    listed.write_text(document, "utf-8", newline="\n")
    if asked.tools is not None:
        run([asked.tools, "-c", _VALIDATE, str(listed)], tree)
    notes = notes_of((tree / "CHANGELOG.md").read_text("utf-8"), version)
    (asked.out / "NOTES.md").write_text(notes + "\n", "utf-8", newline="\n")
    sums = "".join(f"{artifact.sha256}  {artifact.name}\n" for artifact in made)
    (asked.out / "SHA256SUMS").write_text(sums, "utf-8", newline="\n")
    print("== would be published, in this order:")
    for artifact in made:
        print(f"  {artifact.sha256[:16]}…  {artifact.path.stat().st_size / 1024:7.1f} KiB  {artifact.name}")
    print(f"  with {listed.name}, SHA256SUMS and NOTES.md beside them, in {asked.out}")
    if asked.tools is None:
        print("  (twine and the schema of the SBOM were not asked: no --tools)")


_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1], encoding="utf-8").read())
sys.exit(None if errors is None else f"the SBOM does not follow the schema: {errors}")
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
