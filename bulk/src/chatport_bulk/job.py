"""What is asked of each row: the model, the prompt, the structure of the answer, the options."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs
import msgspec

import chatport
from chatport import BadRequestError, ConfigurationError, ImagePart, Message, TextPart

from .rows import Key, Row
from .template import Template

__all__ = ["Job", "Prompt"]

Prompt: TypeAlias = str | Callable[[Mapping[str, Any]], Any]
"""A text with `{column}` in it, or a function from a row to what `client.chat` takes as messages."""

_SHOWN = 60


def _template(job: Job) -> Template | None:
    return Template(job.prompt) if isinstance(job.prompt, str) else None


@attrs.frozen(eq=False)
class Job:
    """What is asked of each row. Frozen, and small enough to be sent to other processes.

    `prompt` is a template, a function of the row, or None: then the row has a column `messages` (a list as chat
    completions have it) or `prompt`. `images` are columns with paths of files or addresses. `output` is a type or a
    JSON Schema, `options` are those of `client.chat` (a model's own defaults where none is given). `key` is the column
    that names a row for ever; without one its place does. `keep` are the columns that go into the answers too, "*" all.
    `dedupe`: rows that ask the same are asked once. `spread`: all targets of an alias are asked at once, each as
    fast as it goes. `retry_invalid`: how often an answer that does not fit `output` is asked for again.
    """

    model: str
    prompt: Prompt | None = None
    system: str = ""
    images: Sequence[str] = ()
    output: Any = None
    tools: Sequence[Any] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict)
    key: str | None = None
    keep: Sequence[str] = ()
    dedupe: bool = False
    spread: bool = False
    retry_invalid: int = 1
    format: Literal["parquet", "jsonl"] = "jsonl"
    _template: Template | None = attrs.field(init=False, default=attrs.Factory(_template, takes_self=True))

    def messages(self, row: Row) -> Any:
        """Return the messages for a row. Raises ChatportError, or what the function of the prompt raises."""
        if callable(self.prompt):
            said: Any = self.prompt(row.content)
        elif self._template is not None:
            said = self._template.fill(row.content)
        else:
            said = _own_words(row.content)
        if not self.system and not self.images:
            return said
        if not isinstance(said, str):
            if self.images:
                raise BadRequestError(
                    "Images of columns go along with a prompt that is a text. This row has whole messages."
                )
            return [Message("system", (TextPart(self.system),)), *said] if self.system else said
        parts = [TextPart(said), *(_image(row.content.get(column), column) for column in self.images)]
        asked = Message("user", tuple(part for part in parts if part is not None))
        return [Message("system", (TextPart(self.system),)), asked] if self.system else [asked]

    def call_options(self) -> dict[str, Any]:
        """Return the options of each call but the model."""
        options = dict(self.options)
        if self.output is not None:
            options["output"] = self.output
            if self.retry_invalid:
                options["retry_invalid"] = self.retry_invalid
        if self.tools:
            options["tools"] = list(self.tools)
        return options

    def kept(self, row: Row) -> Mapping[str, Any] | None:
        """Return the columns that go into the answers too, None if none do."""
        if not self.keep:
            return None
        if "*" in self.keep:
            return row.content
        return {name: row.content.get(name) for name in self.keep}

    def key_of(self, content: Mapping[str, Any], place: int) -> Key:
        """Return what names a row. Raises BadRequestError where its key column has nothing."""
        if self.key is None:
            return place
        value = content.get(self.key)
        if value is None or value == "":
            raise BadRequestError(f"The row has nothing in its key column {self.key!r}.")
        return str(value)

    def schema(self) -> Mapping[str, Any] | None:
        """Return the JSON Schema of the answers, None for free text."""
        if self.output is None:
            return None
        return self.output if isinstance(self.output, Mapping) else chatport.schema_of(self.output)

    def fingerprint(self) -> dict[str, str]:
        """Return what makes this job another one than the next, by name, each short enough to be shown."""
        parts: dict[str, Any] = {
            "model": self.model,
            "prompt": _of_prompt(self.prompt),
            "system": self.system,
            "images": list(self.images),
            "output": self.schema(),
            "tools": [_of_tool(tool) for tool in self.tools],
            "key": self.key,
            "keep": list(self.keep),
            "dedupe": self.dedupe,
            "format": self.format,
        }
        said = {name: value for name, value in parts.items() if value not in (None, "", [], False)}
        said |= {f"option {name}": value for name, value in self.options.items() if value is not None}  # 0 is one
        return {name: _shown(value) for name, value in sorted(said.items())}


def _own_words(content: Mapping[str, Any]) -> Any:
    for column in ("messages", "prompt"):
        said = content.get(column)
        if said and isinstance(said, str) and column == "messages":
            said = msgspec.json.decode(said)  # as CSV has to say it
        if said:
            return said
    raise ConfigurationError(
        "No prompt is given, and the row has neither a column `messages` nor `prompt`; it has: "
        f"{', '.join(map(str, content)) or 'none'}."
    )


def _image(place: Any, column: str) -> ImagePart | None:
    if place is None or place == "":
        return None
    if not isinstance(place, str):
        raise BadRequestError(
            f"The column {column!r} of images holds a path or an address, not {type(place).__name__}."
        )
    if place.partition(":")[0] in ("http", "https", "data"):
        return ImagePart(place)
    try:
        return ImagePart.from_file(Path(place))
    except OSError as error:
        raise BadRequestError(f"The image {place!r} cannot be read: {error.strerror}.") from error


def _of_prompt(prompt: Prompt | None) -> Any:
    if not callable(prompt):
        return prompt
    try:
        return inspect.getsource(prompt)
    except (OSError, TypeError):
        code = getattr(prompt, "__code__", None)
        return f"{getattr(prompt, '__qualname__', repr(type(prompt)))} {code.co_code.hex() if code else ''}"


def _of_tool(tool: Any) -> Any:
    return tool if isinstance(tool, Mapping) else getattr(tool, "__qualname__", repr(tool))


def _shown(value: Any) -> str:
    """Return a value as text; a long one by its beginning and a digest of the whole."""
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str, order="sorted").decode()
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}… ({len(text)} characters, {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()})"
