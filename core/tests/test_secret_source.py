"""A secret that is none of a vendor's: read by reference as keys are, on each loop, and shown by nobody."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from chatport import ConfigurationError
from chatport.basics.secret import Secret
from chatport.helpers import SecretSource

SECRET = "a-token-of-a-server"
WHOSE = "The server acme"


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(backend: str, given: Any) -> Secret:
    return anyio.run(SecretSource(given, WHOSE, "bearer").read, backend=backend)


def test_it_comes_from_wherever_a_key_may_come_from(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later() -> str:
        await anyio.lowlevel.checkpoint()
        return SECRET

    monkeypatch.setenv("A_SECRET_OF_A_TEST", SECRET)
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    command = [sys.executable, "-c", f"print(open({str(file)!r}).read())"]
    read_anew: list[Any] = [{"env": "A_SECRET_OF_A_TEST"}, {"file": str(file)}, {"command": command}]
    read_anew += [lambda: SECRET, later]
    for given in (*read_anew, SECRET, Secret(SECRET)):
        assert SecretSource(given, WHOSE, "bearer").may_change == (given in read_anew)
        assert read(backend, given) == Secret(SECRET)


def test_it_is_read_each_time(backend: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    source = SecretSource({"file": str(file)}, WHOSE, "bearer")
    for text in ("the-first-one", "the-second-one"):
        file.write_text(text)
        file.chmod(0o600)
        assert anyio.run(source.read, backend=backend) == Secret(text)


def test_one_that_cannot_be_read_is_an_error_of_the_settings(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^Cannot read the API key of the server acme from none: ") as caught:
        read(backend, {"file": "none"})
    assert caught.value.provider == "the server acme"


def test_none_is_left_out_and_not_given() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SecretSource(None, WHOSE, "bearer")
    assert caught.value.message == "The server acme: bearer is None. Leave it out where there is none."
    with pytest.raises(ConfigurationError, match="The server acme: bearer is a text"):
        SecretSource(5, WHOSE, "bearer")
