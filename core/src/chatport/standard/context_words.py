"""Whether an error says that the input is too long for the model: a vocabulary, and the numbers beside it.

No two servers word it alike, and no list of sentences is ever whole. What they share are words for what is too long
(context, prompt, input, messages, sequence, tokens), words for being too much (exceeds, too long, maximum, limit), and
the two numbers that do not fit. What sounds alike and is another thing is told apart by words of its own: the limit of
the *answer* (`max_tokens` above what the model may write), tokens by the minute, money, pictures and files.
"""

from __future__ import annotations

import re

__all__ = ["is_over_rate", "says_too_long"]

_LONGEST = 2000
"""Characters that are looked at: who says it, says it at the beginning."""
_LEFT_OUT = "…"

_OUTPUT = re.compile(
    r"\bmax(?:imum)?[_ -]?(?:completion|output|new|generated)?[_ -]?tokens\b(?! allowed| of \d)|\bmaxoutputtokens\b"
    r"|\b(?:output|completion|generated|new)[_ ]tokens?\b|\btokens (?:for|in|of) the (?:completion|output|answer)\b"
    r"|\bstop[_ ]sequences?\b|\b(?:thinking|reasoning)[_ .]?(?:budget|tokens)\b|\bbudget[_ ]tokens\b|\btoken ids?\b"
)
"""The limit of the answer, and what else is counted in tokens without being the input."""
_PATH = re.compile(r"\b[a-z_]{1,40}\[\d{1,9}\][a-z0-9_.\[\]]{0,200}|\binput_(?:value|type|url|audio|image|file)\b")
"""Places in a request, whose names say nothing of its length."""
_NUMBER = re.compile(r"(?<![\w.])\d[\d,_]{0,20}(?:\.\d{1,9})?k?(?!\w)")

_ANOTHER_THING = re.compile(
    r"\bper[ _-]?(?:second|min|minute|hour|day|week|month)\b|\b(?:i|o)?tp[mdh]\b|\brp[mdhs]\b|\brate[ _-]?limit"
    r"|throttl|too many requests|\bquota|please wait|wait before|\bcredits?\b|\bbalance\b|billing|\bbudget has\b|afford"
    r"|\bdaily\b|\bweekly\b|\bmonthly\b|too small|每分钟|频率|限流|额度|余额"
)
"""How fast, how often and how dear it is: nothing of that is mended by a shorter text."""
_MEDIA = re.compile(r"\b(?:images?|audio|videos?|files?|pdf|pages?|pixels?|[kmg]i?b|bytes?)\b")

_WINDOW = re.compile(
    r"\bcontext[ -]?(?:length|window|size|limit|len)\b|\b(?:max|maximum|available|model) context\b|\bcontext exceeded\b"
    r"|\bmax(?:imum)? (?:model|seq|sequence|prompt|input|allowed) (?:len|length|input|tokens?)\b|\bn ctx\b"
    r"|\b(?:sequence|prompt|input|inputs|messages?|conversation) (?:tokens? )?(?:length|limit|count)\b"
    r"|\blength of (?:the |your )?(?:prompt|inputs?|messages?)\b|\bprefill length\b|\b(?:prompt|input) tokens?\b"
    r"|\bmax position embeddings\b|\bcontext\b.{0,20}\btokens?\b"
)
"""What is full."""
_INPUT = re.compile(
    r"\b(?:context|prompts?|inputs?|messages?|conversation|sequence|request|history|prefill|model token limit"
    r"|tokens in|requested \d{1,12} tokens)\b"
)
_TOKENS = re.compile(r"\b(?:tokens|token (?:count|length|limit|size)|characters|chars)\b")

_TOO_MUCH = re.compile(
    r"\bexceed(?:s|ed|ing)?\b|\btoo (?:long|large|big|many)\b|\b(?:long|larg|great)er\b"
    r"|\boverflow|\bbeyond\b|\bover the\b|\bmore than\b|\breduce\b|\bshorten\b|\bdoes(?:n't| not) fit\b|\btruncat"
)
_LIMIT = re.compile(
    r"\b(?:max|maximum|limit|limited|most|only|cannot|can't|must|should|allowed|up to|less|supports?)\b|[<>]=?"
)

_TEXT = r"\b(?:prompts?|inputs?|messages?|conversation|sequence|context|text|query)\b"
_OUTRIGHT = (
    re.compile(
        _TEXT + r"(?: you \w{1,20})?(?: (?:is|are|was|were|length|tokens?|count|size|content|text|history)){0,4}"
        r" too (?:long|large|big)\b"
    ),
    re.compile(r"\brequest (?:is |was )?too (?:long|large|big)\b.{0,60}\btokens?\b"),
    re.compile(r"\btotal length of messages\b.{0,40}\btoo long\b|\btokens in (?:the )?request more than\b"),
    re.compile(r"\btoo many (?:input |prompt |total |context )tokens\b"),
    re.compile(r"\btoo many tokens\W{0,2}(?:\Z| in\b| for\b|\d| total| size)"),
    re.compile(
        r"\b(?:reduce|shorten)\b(?: the)?(?: length of)?(?: the| your| either)?"
        r" (?:input|prompt|messages?|conversation|context)\b"
    ),
    re.compile(r"\btoken limit (?:has been |was )?exceeded\b|\bexceed\w{0,3} (?:the )?token limit\b"),
    re.compile(r"\bcontext (?:window|length|size|limit) (?:is |was |has been )?(?:full|exceeded|reached)\b"),
    re.compile(r"\bcontext overflow\b|contextwindowexceeded|\bmax(?:imum)? tokens of \d{1,12} exceeded\b"),
    re.compile(
        _TEXT + r"(?: (?:length|tokens?|size|count|has)){0,3} exceed\w{0,3} .{0,24}\b(?:length|limit|size|tokens?)\b"
    ),
    re.compile(r"(?:上下文|输入|提示词|prompt|tokens?).{0,30}(?:超出|超过|超长|过长)"),
)
"""What needs no number."""
_LONG_TEXT = re.compile(r"\b(?:content|text|input|prompt|instructions)'?: string too long")
"""The bound of a single text, where that text is what the model reads: an id or a name may be too long as well."""


def says_too_long(text: str) -> bool:
    """Whether an error's words say that the input, or input and answer together, do not fit into the model's window."""
    said = text[:_LONGEST].lower().replace("\u2019", "'").replace("`", "")
    if _ANOTHER_THING.search(said):
        return False
    if _LONG_TEXT.search(said):
        return True
    said = _OUTPUT.sub(_LEFT_OUT, _PATH.sub("", said)).replace("_", " ")
    counted = _TOKENS.search(said) is not None
    if not counted and "context" not in said and _MEDIA.search(said):
        return False
    if any(pattern.search(said) for pattern in _OUTRIGHT):
        return True
    numbers = sum(1 for _ in _NUMBER.finditer(said))
    too_much, limit = _TOO_MUCH.search(said) is not None, _LIMIT.search(said) is not None
    if _WINDOW.search(said) and (too_much or (limit and numbers) or (numbers > 1 and "context" in said)):
        return True
    if not counted or numbers < 2:
        return False
    return (too_much or limit) if _INPUT.search(said) else too_much and _LEFT_OUT not in said


_ASKED = re.compile(r"\blimit:? ([\d,]{1,12})\b.{0,60}\brequested:? ([\d,]{1,12})\b", re.IGNORECASE)


def is_over_rate(text: str) -> bool:
    """Whether one request alone is above a limit by the minute: no wait ever makes it fit."""
    found = _ASKED.search(text[:_LONGEST])
    if found is None:
        return False
    limit, asked = (int(number.replace(",", "") or 0) for number in found.groups())
    return asked > limit
