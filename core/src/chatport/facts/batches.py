"""How a vendor takes many requests at once, as data: a batch is uploaded, worked on within a day, and read.

The core sends no batches: these facts are for who does, with `AsyncClient.request`. What nearly all vendors have in
common is in the defaults; what one does otherwise its facts file says, under `rules` `batch`.

Places inside an answer are written with dots, `request_counts.total`. `{file}`, `{endpoint}`, `{model}`, `{name}` and
`{hours}` in the fields of a request stand for what is known only when it is made, `{requests}` for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..basics.frozen import freeze_fields

__all__ = ["BatchFilesRule", "BatchJobsRule", "BatchLinesRule", "BatchRule"]


class BatchFilesRule(msgspec.Struct, frozen=True):
    """Where files go and come from. `fields` stand beside the file in the form in which it is uploaded.

    `upload` is the path of that, where it is not `path` itself. `deletes`: a file can be deleted.
    """

    path: str = "/files"
    upload: str | None = None
    fields: Mapping[str, str] = msgspec.field(default_factory=lambda: {"purpose": "batch"})
    deletes: bool = True

    def __post_init__(self) -> None:
        freeze_fields(self, "fields")


_USUAL_FIELDS: Mapping[str, Any] = {
    "input_file_id": "{file}",
    "endpoint": "{endpoint}",
    "completion_window": "{hours}h",
    "metadata": {"chatport": "{name}"},
}


class BatchJobsRule(msgspec.Struct, frozen=True):
    """How a batch is begun, found again, looked at and stopped.

    `fields` are what begins one. `wrapped` is where it stands in the answer to that, `listed` where the newest ones
    stand in the answer to `path` with `list_query`; empty: they are the answer itself. `status` says how it goes;
    `ended` are the words, in small letters, after which no more comes. `file` is where a batch names its input file,
    `created` when it was made (seconds, or ISO 8601), `rows` what counts its requests, together. `outputs` are where
    the files with its results are named; `results` is, where there are no files, the path below its own. `problems` is
    where it says what is wrong with it as a whole.
    """

    path: str = "/batches"
    fields: Mapping[str, Any] = msgspec.field(default_factory=lambda: _USUAL_FIELDS)
    wrapped: str = ""
    listed: str = "data"
    list_query: str = "limit=100"
    status: str = "status"
    ended: tuple[str, ...] = ("completed", "failed", "expired", "cancelled")
    file: str = "input_file_id"
    created: str = "created_at"
    rows: tuple[str, ...] = ("request_counts.total",)
    outputs: tuple[str, ...] = ("output_file_id", "error_file_id")
    results: str | None = None
    problems: str = "errors.data"

    def __post_init__(self) -> None:
        freeze_fields(self, "fields")


class BatchLinesRule(msgspec.Struct, frozen=True):
    """How a request and a result are written. `body` names the body of a request, `says_where`: it has method and URL.

    In a result, `answer` is where the answer stands, `status` its HTTP status, `error` what stands there in its place.
    `kind` is where a word says what became of it, `undone` are those words that mean: nothing, and it cost nothing.
    """

    body: str = "body"
    says_where: bool = True
    answer: str = "response.body"
    status: str = "response.status_code"
    error: str = "error"
    kind: str = "error.code"
    undone: tuple[str, ...] = ("batch_expired", "batch_cancelled")


class BatchRule(msgspec.Struct, frozen=True):
    """That a model takes batches, and how. `files` None: the requests stand in what begins the batch.

    `endpoints` says what a batch calls a path of ours. `id_form` is a pattern for one character of a request's own id,
    `id_longest` how many it may have. `most_*` bound one batch, `most_enqueued_tokens` all that are not done; None: not
    known, or by the account. `too_many` are the codes with which a batch is refused for that. `hours` is how long a
    batch may take. `price_factor` is what of the list price is paid, `available` False: this model takes none.
    """

    endpoints: Mapping[str, str] = msgspec.field(default_factory=lambda: {"/chat/completions": "/v1/chat/completions"})
    files: BatchFilesRule | None = msgspec.field(default_factory=BatchFilesRule)
    jobs: BatchJobsRule = msgspec.field(default_factory=BatchJobsRule)
    lines: BatchLinesRule = msgspec.field(default_factory=BatchLinesRule)
    id_form: str = "[A-Za-z0-9_-]"
    id_longest: int = 64
    most_rows: int = 50_000
    most_bytes: int = 100_000_000
    most_enqueued_tokens: int | None = None
    too_many: tuple[str, ...] = ()
    hours: int = 24
    price_factor: float = 1.0
    available: bool = True
    fact: str = ""
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        freeze_fields(self, "endpoints", "facts")
