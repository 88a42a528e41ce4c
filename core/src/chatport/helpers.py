"""Helpers for plugins: what a provider's package or a patch may import besides the names of `chatport` itself.

Nothing else in `chatport` is promised to stay where it is. What stands here are the standard dialect's own tools, by
what they are for:

* Reasoning: `EFFORTS` are the words in their order, `nearest_effort` and `is_weaker` compare them, `reasons` tells
  whether a request makes the model reason.
* The structure of the answer: `fit_output`, `wire_output`, `schema_in_words`, `say_json`, `with_instruction`.
* Tools: `wire_name`, `check_cap`.
* Fields of the request: `apply_field_rules`.
* Schemas. A walk: `parts`, `walk`, `with_parts`, `below`. What a schema says: `types_of`, `has_type`, `resolved`,
  `excludes_itself`, `ANNOTATIONS` (keywords that forbid nothing), `MOST_LEVELS` (of schemas in schemas). A
  change: `followed`, `joined`, `object_root`, `joined_root`, `in_words`, `with_words`, within an `Allowance`, beyond
  which it is `TooLarge`. What was lost: `Loss`, `with_losses`, `loss_warnings`. Subsets: `StrictRules`,
  `strict_misfits`; `closed` within a `ClosedSubset`, `why_not_closed`; `fit_typed`, which raises `Misfit`.
  A value against a schema: `examine`, within a `CheckBudget`.
* Keys that nobody reads: `lost_keys` tells which of an earlier answer's do not go to another provider, `MESSAGE_KEYS`
  is where an answer's `opaque` has those of its message, `laid_over` puts `extra` over an object.
* Files in messages: `split_data_url`, `decoded` (base64), `is_text_type`.
* Decoding: `finish_reason`, `read_usage`, `vendors_usage`, `ChoiceState`, `CallCount`, `join_small`, `over_limit`;
  `sources` and `media_of` read sources and pictures in every known shape; `TaggedReasoning` takes reasoning that
  stands between tags out of the text.
* Errors: `read_error`, `effective_status`, `named_status`.
* Headers and addresses: `header_count`, `host_of`.
* What builds on the core: `installed` gives the objects under a group of entry points, each an `InstalledPlugin`;
  `SecretSource` reads a secret by reference, as keys are read; `near_miss` finds the word that was meant. `BatchRule`
  says how a model takes batches, and `estimate_cost` what so many tokens cost at most.
* Answers that are kept: a `KeptAnswer` is a whole answer as bytes, and the stream that it was or might have been.
* JSON, as the core reads and writes it: `jsoncodec`. All classes of errors: `errors`.
* The standard's own steps, for a hook that wants one in another place than `yield` gives it. These are modules, and
  each hook is a function of its name in one: `standard_request` (`shape_request`), `standard_tools`
  (`translate_tools`), `standard_stream` (`decode_chunk`), `standard_reply` (`decode_reply`), `standard_errors`
  (`classify_error`), `standard_usage`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors as errors, jsoncodec as jsoncodec
from .basics.media import (
    decoded as decoded,
    is_text_type as is_text_type,
    split_data_url as split_data_url,
)
from .basics.pieces import join_small as join_small
from .call import is_native as is_native
from .decoding.kept import KeptAnswer as KeptAnswer
from .errors import over_limit as over_limit
from .facts.batches import BatchRule as BatchRule
from .facts.prices import estimate_cost as estimate_cost
from .plugins.installed import InstalledPlugin as InstalledPlugin, installed as installed
from .setup.origins import host_of as host_of
from .standard import (
    reply as standard_reply,
    request as standard_request,
    stream as standard_stream,
    tools as standard_tools,
    usage as standard_usage,
    verdicts as standard_errors,
)
from .standard.calls import CallCount as CallCount
from .standard.citations import sources as sources
from .standard.closed_schemas import (
    ClosedSubset as ClosedSubset,
    closed as closed,
    why_not_closed as why_not_closed,
)
from .standard.efforts import EFFORTS as EFFORTS, is_weaker as is_weaker, nearest_effort as nearest_effort
from .standard.fields import apply_field_rules as apply_field_rules
from .standard.media import media_of as media_of
from .standard.models import header_count as header_count
from .standard.output import (
    fit_output as fit_output,
    say_json as say_json,
    schema_in_words as schema_in_words,
    with_instruction as with_instruction,
)
from .standard.reasoning import reasons as reasons
from .standard.request import wire_output as wire_output
from .standard.roots import joined_root as joined_root
from .standard.schemas import (
    ANNOTATIONS as ANNOTATIONS,
    MOST_LEVELS as MOST_LEVELS,
    Allowance as Allowance,
    Loss as Loss,
    StrictRules as StrictRules,
    TooLarge as TooLarge,
    below as below,
    excludes_itself as excludes_itself,
    followed as followed,
    has_type as has_type,
    in_words as in_words,
    joined as joined,
    loss_warnings as loss_warnings,
    object_root as object_root,
    parts as parts,
    resolved as resolved,
    strict_misfits as strict_misfits,
    types_of as types_of,
    walk as walk,
    with_losses as with_losses,
    with_parts as with_parts,
    with_words as with_words,
)
from .standard.stream import ChoiceState as ChoiceState, finish_reason as finish_reason
from .standard.tagged_text import TaggedReasoning as TaggedReasoning
from .standard.tools import check_cap as check_cap, wire_name as wire_name
from .standard.typed_schemas import Misfit as Misfit, fit_typed as fit_typed
from .standard.unread import MESSAGE_KEYS as MESSAGE_KEYS, laid_over as laid_over, lost_keys as lost_keys
from .standard.usage import read_usage as read_usage, vendors_usage as vendors_usage
from .standard.verdicts import (
    effective_status as effective_status,
    named_status as named_status,
    read_error as read_error,
)

if TYPE_CHECKING:
    from .basics.words import near_miss as near_miss
    from .schemas.check import Budget as CheckBudget, examine as examine
    from .setup.secrets import SecretSource as SecretSource

__all__ = [
    "ANNOTATIONS",
    "EFFORTS",
    "MESSAGE_KEYS",
    "MOST_LEVELS",
    "Allowance",
    "CallCount",
    "CheckBudget",
    "ChoiceState",
    "ClosedSubset",
    "Loss",
    "Misfit",
    "SecretSource",
    "StrictRules",
    "TaggedReasoning",
    "TooLarge",
    "apply_field_rules",
    "below",
    "check_cap",
    "closed",
    "decoded",
    "effective_status",
    "errors",
    "examine",
    "excludes_itself",
    "finish_reason",
    "fit_output",
    "fit_typed",
    "followed",
    "has_type",
    "header_count",
    "host_of",
    "in_words",
    "is_text_type",
    "is_weaker",
    "join_small",
    "joined",
    "joined_root",
    "jsoncodec",
    "laid_over",
    "loss_warnings",
    "lost_keys",
    "media_of",
    "named_status",
    "near_miss",
    "nearest_effort",
    "object_root",
    "over_limit",
    "parts",
    "read_error",
    "read_usage",
    "reasons",
    "resolved",
    "say_json",
    "schema_in_words",
    "sources",
    "split_data_url",
    "standard_errors",
    "standard_reply",
    "standard_request",
    "standard_stream",
    "standard_tools",
    "standard_usage",
    "strict_misfits",
    "types_of",
    "vendors_usage",
    "walk",
    "why_not_closed",
    "wire_name",
    "wire_output",
    "with_instruction",
    "with_losses",
    "with_parts",
    "with_words",
]

# Read when they are used: hardly a plugin needs them.
_RARE = {
    "CheckBudget": ("schemas.check", "Budget"),
    "SecretSource": ("setup.secrets", "SecretSource"),
    "examine": ("schemas.check", "examine"),
    "near_miss": ("basics.words", "near_miss"),
}


def __getattr__(name: str) -> Any:
    if name not in _RARE:
        raise AttributeError(f"module 'chatport.helpers' has no attribute {name!r}")
    from importlib import import_module

    module, own = _RARE[name]
    return getattr(import_module(f".{module}", __package__), own)
