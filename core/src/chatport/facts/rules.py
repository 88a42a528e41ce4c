"""What a vendor does differently, said as data: the `rules` of a facts file, which the standard dialect acts on.

Each rule carries the number of the fact that it comes from; `explain` and the warnings of a reply cite it. In which
order the rules are applied is written in one place, `chatport.standard.request`.

The rules are structs: a class of attrs takes thirty times as long to make, and every start makes all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..basics.frozen import freeze_fields
from .batches import BatchRule

__all__ = [
    "CallIdRule",
    "EmbeddingRule",
    "FieldRule",
    "HistoryRule",
    "KnownFieldsRule",
    "MessageRule",
    "OutputRule",
    "PartRule",
    "PlainRule",
    "ProtocolRule",
    "ReasoningRule",
    "Rules",
    "SchemaRule",
    "StreamRule",
    "StrictRule",
    "ToolRule",
    "UnavailableRule",
]


class _Cited(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of several parts, all from one fact, or each from its own."""

    fact: str = ""
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The numbers of the facts behind single parts of the rule, by the part's name."""

    def cite(self, part: str) -> str:
        """Return the number of the fact that says this part of the rule."""
        return self.facts.get(part, self.fact)


class FieldRule(msgspec.Struct, frozen=True):
    """What becomes of a body field that a vendor does not take as it is.

    A rule holds for every call, or only where `streamed` (True: the answer is a stream, False: it is not), `reasoning`
    (the model reasons about this call, or does not), `beside` (another field is there), `without` (it is not), `where`
    (the body says all of this) or `when` (the call asks for one of `CONDITIONS`) say so.

    A name with dots reaches into objects ("thinking.budget_tokens").

    What it does is the first of these that is given. `same`: the values that mean no more than leaving the field out,
    and so go without a warning. `fits`: a pattern for the whole text; what does not match is dropped. `values`: all
    that are taken; another is dropped, or becomes `instead`. `rename`: the vendor's own name, unless that is given too.
    `least`, `most`: a number is held in that range. `brings`: fields that are sent with it where they are missing.
    `noted`: it is sent as it is, and a note says what is to be known of it. `kept`: it is sent as it is. With none of
    them the field is dropped. `fits` and `values` may stand beside `rename`. `reason` and `fact` go into the warning.
    """

    reason: str = ""
    fact: str = ""
    same: tuple[Any, ...] = ()
    rename: str | None = None
    least: float | None = None
    most: float | None = None
    fits: str | None = None
    values: tuple[Any, ...] = ()
    instead: Any = None
    brings: Mapping[str, Any] = msgspec.field(default_factory=dict)
    noted: bool = False
    kept: bool = False
    streamed: bool | None = None
    reasoning: bool | None = None
    beside: str | None = None
    without: str | None = None
    where: Mapping[str, Any] = msgspec.field(default_factory=dict)
    when: str | None = None

    def __post_init__(self) -> None:
        freeze_fields(self, "same", "values", "instead", "brings", "where")


class KnownFieldsRule(msgspec.Struct, frozen=True):
    """All fields that a body may have, where the vendor refuses a request for one that it does not know.

    `setting` names the provider's setting with further ones, which the vendor may have added since.
    """

    fields: tuple[str, ...]
    setting: str | None = None
    fact: str = ""


class ReasoningRule(_Cited, frozen=True):
    """How a model is told to reason, or not to.

    `on` and `off` are body fields that switch it; `off` None: it cannot be switched off (unless `none` is among the
    model's efforts). `effort` is the field for the effort, with a dot between levels ("output_config.effort"); None:
    the model reasons or does not. `words` are the vendor's own words for an effort, where they differ. `means` says
    which effort another one is answered as, though the word itself is taken; without a field for efforts, which one the
    model's reasoning comes to (otherwise `medium`), and an effort that means itself is told of there. `budget` is the
    field for a budget in tokens, held between `least_budget` and `most_budget`, and `below_output` below the output
    limit; `budget_as_effort`: without such a field, the budget is sent as an effort. `least_for_off`: where it cannot
    be switched off, the least effort is sent; without it nothing is, and the vendor's default holds. A fact may also be
    cited for a single effort, by its word. `say_default`: say aloud what holds anyway, where that differs between
    versions of one name.

    `gives_way_to` names what switches reasoning off, and `wins_over` what is lowered while it is on, each with its
    fact: `forced_choice`, `required_choice`, `named_choice`, `tools`, `prefix`, `json_schema`, `json_object`.
    `unasked_gives_way_to` is the same where the caller has not asked for reasoning. `off_where_unknown`: it also gives
    way where nothing is known of the model's default. `effort_alone`: an effort goes without `on`, which it says
    already.
    """

    on: Mapping[str, Any] = msgspec.field(default_factory=dict)
    off: Mapping[str, Any] | None = None
    effort: str | None = "reasoning_effort"
    words: Mapping[str, str] = msgspec.field(default_factory=dict)
    means: Mapping[str, str] = msgspec.field(default_factory=dict)
    budget: str | None = None
    least_budget: int | None = None
    most_budget: int | None = None
    budget_as_effort: bool = False
    below_output: bool = False
    least_for_off: bool = True
    say_default: bool = False
    gives_way_to: Mapping[str, str] = msgspec.field(default_factory=dict)
    wins_over: Mapping[str, str] = msgspec.field(default_factory=dict)
    unasked_gives_way_to: Mapping[str, str] = msgspec.field(default_factory=dict)
    effort_alone: bool = False
    off_where_unknown: bool = False

    def __post_init__(self) -> None:
        tables = ("on", "off", "words", "means", "gives_way_to", "wins_over", "unasked_gives_way_to", "facts")
        freeze_fields(self, *tables)


class HistoryRule(msgspec.Struct, frozen=True):
    """Which earlier answers take their reasoning back, in the dialect's `reasoning_field`.

    `keep`: of all answers, of those that called tools, or of none. `blank` is what stands for reasoning that is
    missing, `blank_for` says where: in answers that called tools, in all answers of a conversation that uses tools, or
    in all. It is filled in only while the model reasons. `all_with` are body fields with which all of it goes back,
    whatever `keep` says. `opaque` names what else goes back with an answer of this vendor: fields of it that Chatport
    keeps and does not read (`reasoning_details`, whose streamed pieces are joined). `left_out` names keys of its
    messages that the vendor does not want back, or that a hook reads (`notes.mark` inside an object): all others that
    nobody reads go back to it.
    """

    keep: Literal["all", "calls", "none"] = "all"
    blank: str | None = None
    blank_for: Literal["calls", "tool_use", "all"] = "calls"
    all_with: Mapping[str, Any] = msgspec.field(default_factory=dict)
    opaque: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    fact: str = ""

    def __post_init__(self) -> None:
        freeze_fields(self, "all_with")


class MessageRule(_Cited, frozen=True):
    """What a message may look like.

    `names`: whether messages may have names. `nulls`: whether a field may be null. `joined_text`: content that is only
    text parts is sent as one text, without the marks on its parts. `keys`: all that a message may have, None: anything.
    `part_keys`: the same for parts of a content, and `call_keys` for the calls of an earlier answer, whose function has
    a name and arguments then, and nothing else. `part_types`: all kinds of parts that are taken, empty: any; media of
    another kind are refused before they are sent, and the rest is left out. `orphan_results`: whether the result of a
    call may stand where no earlier answer has the call; if not, it is refused before it is sent. `refusals`: whether a
    refusal has a field; if not, it is the text. `empty`: what stands for content that is empty, which is refused;
    `empty_result` the same for a tool's result. `text_results`: a tool's result is only text, and what is no text
    follows in a user message. `bridge`: what the assistant says between a tool's result and another turn than its own,
    which is refused there.
    """

    names: bool = True
    nulls: bool = True
    joined_text: bool = False
    keys: tuple[str, ...] | None = None
    part_keys: tuple[str, ...] | None = None
    part_types: tuple[str, ...] = ()
    orphan_results: bool = True
    call_keys: tuple[str, ...] | None = None
    refusals: bool = True
    empty: str | None = None
    empty_result: str | None = None
    text_results: bool = False
    bridge: str | None = None


class PartRule(msgspec.Struct, frozen=True):
    """How a kind of content (image, audio, file, video) is sent.

    `addresses`: whether the vendor fetches it from an `http` address; `inline`: whether it takes the bytes themselves;
    `uploads`: whether it takes the id of an upload. What is not taken is refused before it is sent. `formats`: all that
    are read, by the name in the part or the media type; empty: any. `data_url`: sound goes as a data URL where the
    standard has bare base64 (its media type is left out where the format stands beside it); false: as bare base64, also
    where a data URL was given; None: as it was given. True of files, with a `type`: the address of that kind of part is
    the file's data URL. `text_files`: whether a file of plain text is taken as a file;
    if not, it goes as a text part. `keys`: all that the object inside the part may have, None: anything. `type` and
    `field` are the vendor's own names for the part and what is in it.
    """

    addresses: bool = True
    inline: bool = True
    uploads: bool = True
    formats: tuple[str, ...] = ()
    data_url: bool | None = None
    text_files: bool = True
    keys: tuple[str, ...] | None = None
    type: str | None = None
    field: str | None = None
    fact: str = ""


_MADE_ID_LENGTH = 32
_MADE_IDS = 64  # which are tried: a pattern may want a letter first


class CallIdRule(msgspec.Struct, frozen=True):
    """Which ids of tool calls the vendor takes: those that do not fit are replaced, in calls and results alike.

    `longest` in characters; `fits` a pattern for the whole id. What stands for an id is made of hexadecimal digits, 32
    of them or `longest`: some of these must fit.
    """

    longest: int | None = None
    fits: str | None = None
    fact: str = ""

    def takes(self, call_id: str) -> bool:
        """Whether an id is sent as it is."""
        return (self.longest is None or len(call_id) <= self.longest) and (
            self.fits is None or re.fullmatch(self.fits, call_id) is not None
        )

    def made_of(self, text: str) -> str:
        """Return an id that is taken, always the same for the same text. Raises ValueError where none is found."""
        import hashlib  # it loads OpenSSL, 4 MB, and hardly any call needs it

        for number in range(_MADE_IDS):
            digest = hashlib.sha256(f"{text}#{number}".encode("utf-8", "surrogatepass")).hexdigest()
            made = digest[: min(self.longest or _MADE_ID_LENGTH, _MADE_ID_LENGTH)]
            if self.takes(made):
                return made
        raise ValueError(f"call_ids takes no id of {len(made)} hexadecimal digits")


class ToolRule(_Cited, frozen=True):
    """What tools and the choice among them may look like.

    `choices`: the kinds of `tool_choice` that are taken (auto, none, required, named, and the vendor's own words and
    types, such as any or allowed_tools); None: all, but only auto and none where the model's `forced_tool_choice` is
    false; without auto the field is left out for it. What is missing is said in another way: `none` by leaving the
    tools out, a name by `required` with that tool alone, `required` by the name of the only tool, and what cannot be
    forced at all is asked for in words; another vendor's own is said in the standard's words, or left out. `hints` are
    kinds that are taken without a promise: they are sent, and asked for in words as well. `strict`: whether strict
    tools are known. `kinds`: the types of tools that are taken, empty: any. `function_keys`: all that a function may
    have, None: anything. `reserved`: names that no tool may have, or what is sent in place of each. `letter_first`: a
    name begins with a letter. `parallel`: the value that `parallel_tool_calls` is given where the caller gives none. A
    choice without tools is left out where it forces nothing; with a fact for `without_tools`, which says that it is
    refused, any is left out.
    """

    choices: tuple[str, ...] | None = None
    hints: tuple[Literal["required", "named"], ...] = ()
    strict: bool = True
    kinds: tuple[str, ...] = ()
    function_keys: tuple[str, ...] | None = None
    reserved: tuple[str, ...] | Mapping[str, str] = ()
    letter_first: bool = False
    parallel: bool | None = None

    def __post_init__(self) -> None:
        freeze_fields(self, "reserved", "facts")


class OutputRule(_Cited, frozen=True):
    """How structured output is asked for; which formats there are says `output_formats` of the model.

    `say_json`: JSON must be asked for in a message too, with the formats of `say_json_for`. `show_schema`: the model
    does not see the schema, so that it is told in words as well. `while_reasoning`: the formats that are left while the
    model reasons, None: all of them. `beside_tools`: whether it goes together with tools; if not, the schema is told in
    words, or the tools are left out where none may be called. `forced_tool`: whether a schema that is not taken may be
    the parameters of a tool that must be called. `strict`: whether a strict schema is enforced; if not, it is sent as a
    wish. `any_object`: where only schemas are taken, `json_object` is sent as the schema of any object. `streamed`:
    whether a schema goes together with a stream; if not, the reply comes whole.
    """

    say_json: bool = False
    say_json_for: tuple[Literal["json_schema", "json_object"], ...] = ("json_object",)
    show_schema: bool = False
    while_reasoning: tuple[str, ...] | None = None
    beside_tools: bool = True
    forced_tool: bool = True
    strict: bool = True
    any_object: bool = False
    streamed: bool = True


class StreamRule(msgspec.Struct, frozen=True):
    """When the answer to a plain call is asked for as a stream, which `chat` folds: the caller sees no difference.

    `when` is all of the cases: `always`, while the model is `reasoning`, or beside `tools`. `reason` goes into a note;
    without one nothing is said.
    """

    when: tuple[Literal["always", "reasoning", "tools"], ...] = ("always",)
    reason: str = ""
    fact: str = ""


class EmbeddingRule(msgspec.Struct, frozen=True):
    """How an embedding model is asked: more texts than fit into one request go in several.

    `most_inputs` are the texts of one request, `most_tokens` what they may have together; None: not known.
    `dimensions`: whether the caller may choose the length of the vectors.
    """

    most_inputs: int | None = None
    most_tokens: int | None = None
    dimensions: bool = True
    fact: str = ""


STRICT_SIZES = ("properties", "levels of nesting", "characters of names", "enum values")
"""What `most` of a strict rule may bound."""


class StrictRule(msgspec.Struct, frozen=True):
    """The subset that a strict schema is made to fit: all objects closed, all their properties required.

    `kept` are the keywords that stay, `kept_in_tools` those that stay in the parameters of a tool only, and `left_out`
    those that go without a word; with a `barred` one a schema is not strict, and any other is said in the description.
    `formats` are all values of `format` that are taken.
    `look_around`: whether a pattern may look around. `most` bounds the whole schema: its `properties`, `levels of
    nesting`, `characters of names` and `enum values`.
    """

    kept: tuple[str, ...] = ()
    kept_in_tools: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    look_around: bool = False
    most: Mapping[str, int] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        freeze_fields(self, "most")


class PlainRule(msgspec.Struct, frozen=True):
    """A schema language without references, with `nullable` for null, and enumerations of texts only.

    `left_out` are the keywords that go without a word, `in_words` those that are said in the description. `one_of`:
    whether it knows `oneOf`; if not, `anyOf` stands for it.
    """

    left_out: tuple[str, ...] = ()
    in_words: tuple[str, ...] = ()
    one_of: bool = True


class SchemaRule(_Cited, frozen=True):
    """Which part of JSON Schema is taken in tools and in structured output; what a schema loses is told.

    `object_root`: structured output is an object at its root; another one is asked for in words. `strict`: what a
    schema that is asked to be strict is made to fit; if that would change its meaning, it is sent as one that is not
    strict. `plain`: what every schema is made to fit. `barred_at_root`: keywords that may not stand at the root of a
    tool's arguments, where the type object must: unions there are joined into one object, and the rest is said in its
    description. Parts with facts of their own: `object_root`, `losses`, `barred_at_root`.
    """

    object_root: bool = False
    barred_at_root: tuple[str, ...] = ()
    strict: StrictRule | None = None
    plain: PlainRule | None = None


NEEDS = ("reasoning_beside_tools", "tools", "reasoning", "json_schema", "forced_choice", "server_state")
"""What a call may need, for which a model may be spoken to in another protocol, in the order in which they count."""


class ProtocolRule(_Cited, frozen=True):
    """Which of the vendor's protocols a call takes, where the user's setting leaves it open.

    `only` is the one protocol in which this model answers at all. `needs` names a protocol for what a call may need:
    `reasoning`, `tools`, `reasoning_beside_tools`, `json_schema`, `forced_choice`, or `server_state` (fields with which
    the vendor goes on from what it has kept). `usual` is for every other call; None: the provider's own.
    """

    only: str | None = None
    usual: str | None = None
    needs: Mapping[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        freeze_fields(self, "needs", "facts")


class UnavailableRule(msgspec.Struct, frozen=True):
    """A model that is not where the call goes: it is refused before it is sent, with the reason.

    `reason` says what to ask instead; `{model}` in it is the model's id.
    """

    reason: str
    fact: str = ""


class Rules(msgspec.Struct, frozen=True):
    """All rules of one model on one host. `fields` are by the name of the body field; a field may have several.

    `known_fields` looks at what they leave.
    """

    reasoning: ReasoningRule | None = None
    history: HistoryRule | None = None
    messages: MessageRule | None = None
    parts: Mapping[str, PartRule] = msgspec.field(default_factory=dict)
    call_ids: CallIdRule | None = None
    tools: ToolRule | None = None
    output: OutputRule | None = None
    stream: StreamRule | None = None
    schemas: SchemaRule | None = None
    embeddings: EmbeddingRule | None = None
    fields: Mapping[str, FieldRule | tuple[FieldRule, ...]] = msgspec.field(default_factory=dict)
    known_fields: KnownFieldsRule | None = None
    protocol: ProtocolRule | None = None
    unavailable: UnavailableRule | None = None
    batch: BatchRule | None = None

    def __post_init__(self) -> None:
        freeze_fields(self, "parts", "fields")
