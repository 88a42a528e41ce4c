"""What `deploy/` holds, read by the programs that it is for where they are here, and as data else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import chatport
from chatport_gateway import Gateway
from chatport_gateway.team.settings import read_team

from .front import NGINX, shipped_nginx

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
INSTRUCTION = re.compile(r"^([A-Z]+) (.*)$")
ENVIRONMENT = {
    "POSTGRES_PASSWORD": "p",
    "DATABASE_URL": "postgresql://chatport:p@postgres:5432/chatport",
    "REDIS_URL": "redis://valkey:6379/0",
    "CHATPORT_SEAL_KEY": "0123456789abcdef",
    "DEEPSEEK_API_KEY": "k",
    "OPENAI_API_KEY": "k",
}
SERVICE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "build": {"type": "object", "required": ["context", "dockerfile"]},
        "image": {"type": "string", "pattern": r"^[a-z0-9/-]+(:[a-z0-9.-]+)?$"},
        "command": {"type": "array", "items": {"type": "string"}},
        "env_file": {"const": "gateway.env"},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "depends_on": {"additionalProperties": {"properties": {"condition": {"const": "service_healthy"}}}},
        "networks": {"items": {"enum": ["front", "back"]}},
        "ports": {"items": {"pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "volumes": {"items": {"pattern": r"^[a-z0-9./-]+:/[a-z/.]+(:ro)?$"}},
        "restart": {"const": "unless-stopped"},
        "stop_grace_period": {"pattern": r"^\d+s$"},
        "read_only": {"const": True},
        "tmpfs": {"type": "array"},
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "mem_limit": {"type": "string"},
        "pids_limit": {"type": "integer"},
        "healthcheck": {"type": "object", "required": ["test", "interval", "timeout", "retries"]},
    },
}


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each on one line."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    found = [INSTRUCTION.match(line) for line in whole.splitlines() if line.strip()]
    assert all(found)
    return [(match[1], re.sub(r"\s+", " ", match[2])) for match in found if match]


def test_the_image_is_not_root_and_is_pinned_by_the_requirements() -> None:
    made = instructions()
    assert [name for name, _ in made if name == "FROM"] == ["FROM", "FROM"]
    assert ("USER", "10001:10001") in made
    names = [name for name, _ in made]
    assert names.index("USER") < names.index("ENTRYPOINT") < names.index("CMD")
    assert "HEALTHCHECK" in names
    installs = [text for name, text in made if name == "RUN" and " install -q " in text]
    assert installs
    assert all("--require-hashes" in text or "--no-index" in text for text in installs)
    for name, text in made:
        if name == "COPY" and "--from" not in text:
            assert all((ROOT / part).exists() for part in text.split()[:-1]), text
        if name == "FROM":
            assert text.startswith("python:")  # whose registry that is is said by whoever builds


@pytest.mark.parametrize("name", sorted(path.name for path in DEPLOY.iterdir()))
def test_no_key_stands_in_a_file_that_is_shipped(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert not re.search(r"(?m)^\w*(KEY|PASSWORD)\w*=.+", text)
    assert not re.search(r"sk-\w{8}", text)


def test_pins_are_those_with_which_all_tests_were_run() -> None:
    pins = {
        name: set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))
        for name in ("dev", "gateway", "wheels")
    }
    assert pins["gateway"] | pins["wheels"] <= pins["dev"]
    assert {pin.partition("=")[0] for pin in pins["gateway"]} >= {"asyncpg", "coredis", "sqlalchemy", "uvicorn"}


def test_the_services_are_what_compose_takes() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(compose["services"]) == {"gateway-1", "gateway-2", "nginx", "postgres", "valkey"}
    for service in compose["services"].values():
        jsonschema.validate(service, SERVICE)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("depends_on", ())) <= set(compose["services"])
    journals = [compose["services"][f"gateway-{number}"]["volumes"][1] for number in (1, 2)]
    assert journals[0] != journals[1]
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["nginx"]
    named = dict(
        line.split("=", 1) for line in (DEPLOY / "gateway.env.example").read_text().splitlines() if "=" in line
    )
    assert set(named) == set(ENVIRONMENT)


def test_the_configuration_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    config = chatport.load_config(DEPLOY / "chatport.toml")
    gateway = Gateway(config)
    assert gateway.is_guarded
    assert not gateway.setup.problems()
    settings = read_team(config)
    assert settings is not None
    assert (settings.database, settings.redis) == (ENVIRONMENT["DATABASE_URL"], ENVIRONMENT["REDIS_URL"])


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(shipped_nginx(tmp_path, 1, [2, 3]))
    command = [str(NGINX), "-t", "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", "nginx.conf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_finds_it_safe(tmp_path: Path) -> None:
    unit = tmp_path / "chatport.service"
    unit.write_text((DEPLOY / "chatport.service").read_text().replace("/opt/chatport/bin/chatport", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]
