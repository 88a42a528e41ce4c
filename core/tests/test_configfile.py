"""One configuration file: what it may hold without making us slow, deep, or loud."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.steps import count_steps

from chatport.errors import ConfigurationError
from chatport.setup.configfile import _PIECE, _unbounded, read_config_file

LARGEST = 256 * 1024


def read(path: Path, text: str | bytes) -> Any:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_config_file(path).tables


def problem(path: Path) -> str:
    try:
        read_config_file(path)
    except ConfigurationError as error:
        return str(error)
    return ""


def refused(path: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(path, text)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".".join("a" * 60_000) + " = 1", "has a key of more than 16 parts"),
        (f"[{'.'.join('a' * 60_000)}]", "has a key of more than 16 parts"),
        (f"x = {{ {'.'.join('a' * 60_000)} = 1 }}", "has a key of more than 16 parts"),
        (" . ".join(['"a"'] * 40_000) + " = 1", "has a key of more than 16 parts"),
        ("x = " + "[" * 100_000, "nested more than 16 deep"),
        ("x = " + "[\n" * 100_000, "nested more than 16 deep"),
        ("x = " + "{a=" * 50_000, "nested more than 16 deep"),
        ("x = " + "[[{a=" * 50_000, "nested more than 16 deep"),
        ("#" * (LARGEST + 1), "larger than the 256 KiB"),
        (f"x = {'9' * 5_000}", "a number that is too large"),
        (f"x = 0x{'f' * 5_000}", "a number that is too large"),
        ("x = [{ y = -9223372036854775809 }]", "a number that is too large"),
        (b"x = '\xff'", "it is not UTF-8"),
        (b"\xff\xfe", "it is not UTF-8"),
        ("x = ", "is not valid TOML: "),
        ("x = 2026-02-30", "is not valid TOML: "),
        ("x = '\0'", "is not valid TOML: "),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "bytes",
)
def test_a_file_that_cannot_be_meant_is_refused(text: str | bytes, words: str, path: Path) -> None:
    assert words in refused(path, text)


def test_a_path_that_is_none_is_told(tmp_path: Path) -> None:
    assert problem(tmp_path / "a\0b") == f"Cannot read {tmp_path}/a\\x00b: that is no path."
    assert problem(tmp_path / "nowhere") == f"Cannot read {tmp_path}/nowhere: No such file or directory."


def test_the_largest_number_of_toml_is_taken(path: Path) -> None:
    assert read(path, f"x = {2**63 - 1}\ny = {-(2**63)}") == {"x": 2**63 - 1, "y": -(2**63)}


def of_parts(count: int) -> str:
    return ".".join(f"p{number}" for number in range(count))


GOOD = {
    "dots in texts": f'x = "{"." * 99}"\ny = \'{"." * 99}\'\n"{"." * 99}" = 1',
    "dots in a comment": f"x = 1 # {'.' * 99} [[[[[[[[[[[[[[[[[[[[[",
    "dots in long texts": f"x = \"\"\"{'.' * 99}\n{'[' * 99}\"\"\"\ny = '''{'.' * 99}\n{'{' * 99}'''",
    "quotes in long texts": 'x = """a"""""\ny = """"a\\""""\nz = \'\'\'\'\'a\'\'\'\'\'\nw = ""\nv = """"""\n',
    "marks in texts": 'x = "a\\"[[[[[[[[[[[[[[[[[[[["\ny = "\\\\"\n',
    "numbers": "x = [" + "1.5, " * 99 + "]",
    "many lists": "x = " + "[[1], " * 3 + "[[2]], " * 99 + "]" * 3,
    "a wide table": "\n".join(f"a.b.c{number} = 1.5" for number in range(999)),
    "as deep as may be": f"{of_parts(16)} = 1\n[q.{of_parts(15)}]\nx = {'[' * 16}{']' * 16}",
    "carriage returns": "x = 1\r\ny = '''a\r\nb'''\r\n",
    "the largest whole numbers": "x = [9223372036854775807, -9223372036854775808]",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_meant_is_read(name: str, path: Path) -> None:
    assert read(path, GOOD[name]) == tomllib.loads(GOOD[name])


HOSTILE: dict[str, Callable[[int], str]] = {
    "one long key": lambda size: ".".join("a" * (size // 2)) + " = 1",
    "keys under a deep table": lambda size: (
        f"[{of_parts(16)}]\n" + "".join(f"x{number}.y = 1\n" for number in range(size // 12))
    ),
    "deep keys": lambda size: "".join(f"{of_parts(15)}.x{number} = 1\n" for number in range(size // 60)),
    "tables": lambda size: "".join(f"[a.b{number}]\n" for number in range(size // 10)),
    "lists of tables": lambda size: "[[a]]\n" * (size // 6),
    "texts that do not end": lambda size: 'x = ["' + '\\"""' * (size // 4),
    "long texts that do not end": lambda size: 'x = """' + '\\"""' * (size // 4),
    "quotes": lambda size: '"' * size,
    "single quotes": lambda size: "'" * size,
    "quotes and escapes": lambda size: '"""' + '\\""' * (size // 3) + "\\",
    "escapes": lambda size: 'x = "' + "\\n" * (size // 2) + '"',
    "comments": lambda size: "#\n" * (size // 2),
    "brackets": lambda size: "[" * size,
    "brackets that close": lambda size: "x = [" + "[]," * (size // 3) + "]",
    "inline tables": lambda size: "x = [" + "{a.b=1}," * (size // 8) + "]",
    "digits": lambda size: "x = " + "1" * size,
    "digits after a point": lambda size: "x = 0." + "1" * size,
    "line ends": lambda size: "\r\n" * (size // 2),
    "dots": lambda size: "." * size,
    "one name": lambda size: "a" * size + " = 1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_cost_of_a_file_is_linear(name: str, path: Path) -> None:
    """Four times the file takes about four times the steps, whatever becomes of it."""

    def steps(size: int) -> int:
        path.write_text(HOSTILE[name](size), "utf-8")

        return count_steps(lambda: problem(path))

    steps(100)  # what is imported and compiled once
    small, large = steps(8_000), steps(32_000)
    assert len(problem(path)) < 1_000
    assert large < 5 * small + 2_000
    assert large < 60 * 32_000


@pytest.mark.parametrize("name", HOSTILE)
def test_no_search_for_a_piece_is_in_vain(name: str) -> None:
    """What begins like a long text is one, to its end or to that of the file: its start is looked at only once."""
    text = HOSTILE[name](LARGEST)
    for piece in _PIECE.finditer(text):
        if text.startswith(('"""', "'''"), piece.start()):
            assert piece[0].startswith(('"""', "'''"))
            assert len(piece[0]) >= 6 or piece.end() == len(text)


TEXTS = st.lists(
    st.sampled_from(
        [
            '"',
            "'",
            '"""',
            "'''",
            "\\",
            "\n",
            "#",
            ".",
            "=",
            "a",
            "1",
            "[",
            "]",
            "{",
            "}",
            ",",
            " ",
            "x = ",
            "[a]\n",
            "\r\n",
        ]
    ),
    max_size=30,
).map("".join)


@pytest.mark.slow
@given(TEXTS)
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_tomllib_reads_is_seen_as_it_is(text: str) -> None:
    """Where `tomllib` accepts a text, a deep key or list in it would have been found: the pieces are its own."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert _unbounded(f"{text}\n{of_parts(17)} = 1") is not None
    assert _unbounded(f"{text}\nx = {'[' * 17}") is not None
    assert _unbounded(text) is None or re.search(r"(\.\s*){9}|[\[{]", text)
