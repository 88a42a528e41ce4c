"""What a release is made of: a CycloneDX 1.6 list of our distributions and all that they bring with them.

Versions and hashes are those of `requirements/dev.txt`, with which all tests were run. Who installs may get newer
ones. Extras are left out: only what comes without asking is listed, on any system and any Python that we take.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import product
from typing import Any

import attrs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .artifacts import Artifact, metadata_of
from .fragments import ReleaseError
from .members import Member

__all__ = ["Pin", "pins_in", "sbom"]

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)
_SYSTEMS = (("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt"))
_PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@attrs.frozen
class Pin:
    """A version of somebody else's distribution, and the hashes of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """The address that every tool knows a distribution by."""
        return f"pkg:pypi/{self.name}@{self.version}"


def pins_in(requirements: str) -> dict[str, Pin]:
    """Return the pins of a requirements file with hashes, by name."""
    found: dict[str, Pin] = {}
    for match in _PIN.finditer(requirements):
        name = canonicalize_name(match["name"])
        found[name] = Pin(
            name, match["version"], tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", match["rest"])))
        )
    return found


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Whether a requirement holds anywhere: on some system and some Python that we take."""
    if requirement.marker is None:
        return True
    for (system, platform, name), python, extra in product(_SYSTEMS, _PYTHONS, extras | {""}):
        where = {
            "sys_platform": system, "platform_system": platform, "os_name": name, "extra": extra,
            "python_version": python, "python_full_version": f"{python}.0",
            "implementation_name": "cpython", "platform_python_implementation": "CPython",
        }  # fmt: skip
        if requirement.marker.evaluate(where):
            return True
    return False


@attrs.define
class _Walk:
    """Goes from our distributions to all that they need, and keeps who needs whom."""

    pins: Mapping[str, Pin]
    ours: Mapping[str, list[Requirement]]
    needs: dict[str, set[str]] = attrs.field(factory=dict)
    _seen: set[tuple[str, frozenset[str]]] = attrs.field(factory=set)

    def visit(self, name: str, extras: frozenset[str] = frozenset()) -> None:
        if (name, extras) in self._seen:
            return
        self._seen.add((name, extras))
        needed = self.needs.setdefault(name, set())
        for requirement in self._requirements(name):
            if not applies(requirement, extras):
                continue
            other = canonicalize_name(requirement.name)
            if other not in self.ours and other not in self.pins:
                raise ReleaseError(f"{name} needs {other}, which requirements/dev.txt does not pin: run `make lock`")
            needed.add(other)
            self.visit(other, frozenset(requirement.extras))

    def _requirements(self, name: str) -> Iterable[Requirement]:
        if name in self.ours:
            return self.ours[name]
        found = _installed(name)
        return [] if found is None else [Requirement(text) for text in found.requires or []]


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None  # such as what only Windows needs


def sbom(ours: list[Member], artifacts: list[Artifact], pins: Mapping[str, Pin], epoch: str) -> str:
    """Return the list as JSON. The same release gives the same text."""
    about = {one.name: metadata_of(artifact) for one, artifact in _wheels(ours, artifacts)}
    walk = _Walk(pins, {name: list(metadata.requires_dist or []) for name, metadata in about.items()})
    for one in ours:
        walk.visit(one.name)
    purls = {one.name: f"pkg:pypi/{one.name}@{one.version}" for one in ours}
    theirs = sorted(walk.needs.keys() - purls.keys())
    purls |= {name: pins[name].purl for name in theirs}
    whole = f"chatport-release@{ours[0].version}"
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(epoch), UTC).isoformat().replace("+00:00", "Z"),
            "component": {"type": "library", "bom-ref": whole, "name": "chatport", "version": ours[0].version},
        },
        "components": [
            *(_own(one, artifacts, str(about[one.name].summary)) for one in ours),
            *(_other(pins[name]) for name in theirs),
        ],
        "dependencies": [
            {"ref": whole, "dependsOn": [purls[one.name] for one in ours]},
            *(
                {"ref": purls[name], "dependsOn": sorted(purls[other] for other in walk.needs[name])}
                for name in (*(one.name for one in ours), *theirs)
            ),
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=2) + "\n"


def _wheels(ours: list[Member], artifacts: list[Artifact]) -> Iterator[tuple[Member, Artifact]]:
    by_name = {artifact.name: artifact for artifact in artifacts}
    for one in ours:
        yield one, by_name[f"{one.stem}-py3-none-any.whl"]


def _own(member: Member, artifacts: list[Artifact], summary: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{member.name}@{member.version}"
    files = [artifact for artifact in artifacts if artifact.name.startswith((f"{member.stem}-", f"{member.stem}.tar"))]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": member.name,
        "version": member.version,
        "description": summary,
        "purl": purl,
        "licenses": [{"license": {"id": "MIT"}}],
        "components": [
            {
                "type": "file",
                "bom-ref": f"{purl}#{artifact.name}",
                "name": artifact.name,
                "hashes": [{"alg": "SHA-256", "content": artifact.sha256}],
            }
            for artifact in files
        ],
    }


def _other(pin: Pin) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
    }
    found = _installed(pin.name)
    if found is not None and "License-Expression" in found.metadata:
        component["licenses"] = [{"expression": found.metadata["License-Expression"]}]
    if pin.hashes:  # of every file of this version: which one is taken depends on the machine
        hashes = [{"alg": "SHA-256", "content": one} for one in pin.hashes]
        component["externalReferences"] = [{"type": "distribution", "url": pin.purl, "hashes": hashes}]
    return component
