"""Write a chat model of 2 MB whose replies are known in advance, for tests and demos without a network.

    python tiny_model.py tiny.gguf                # for llama.cpp
    python tiny_model.py tiny.gguf --hf tiny-hf   # and as a folder for vLLM, mlx-lm, transformers

It is a real one-layer llama network, but its weights are computed instead of trained. A token enters as a
one-hot vector, the layer adds nothing to it, and the output matrix is a table that says how likely each token
is to follow. So the words are ours, while the server's tokenizer, template, sampler, grammar and parsers run
for real. The chat template reads the request and ends the prompt with a cue token; the cue chooses the reply.

The last user text decides, at temperature 0 and well above:

    has           reply
    (no cue)      ``Hello from a tiny local model.``, or the text given as ``say``
    THINK         reasoning ``Let me see``, then the sentence; not with ``enable_thinking`` false
    LONG          `` la la la ...`` until the token limit or the end of the context
    EMOJI         U+1F600 from four tokens of one byte each, a space, and the sentence
    CALL          if there are tools: ``get_weather(city="Paris")``, its arguments in several pieces
    CALL TWO      if there are tools: ``get_time(zone="UTC")`` in one piece, then the call above

Once the last message is a tool result, the reply is the sentence. Where the server enforces a grammar:

    JSON schema                 ends soon: strings are ``"a"``, integers ``0``, booleans ``false``
    tools, and a call required  the sentence (where the grammar lets it through), then a call
    CALL, and only other tools  a call of one of those, filled like a JSON schema

A prompt counts about one token for each byte, and every file is the same, byte for byte, each time.
The files need no package at all; GGUF is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
and safetensors at https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

DEFAULT_SAY = "Hello from a tiny local model."
THOUGHT = "Let me see"
EMOJI = "\U0001f600"

_PAD, _START, _END = "<|pad|>", "<|im_start|>", "<|im_end|>"
# The prefix matters: llama.cpp takes some names, such as <|call|> and <|end|>, for the end of a reply.
_SAY, _THINK, _LONG, _EMOJI, _CALL, _CALL_TWO = _CUES = (
    "<|cue_say|>", "<|cue_think|>", "<|cue_long|>", "<|cue_emoji|>", "<|cue_call|>", "<|cue_call_two|>",
)  # fmt: skip
_CONTROL = (_PAD, _START, _END, *_CUES)
_OPEN_THOUGHT, _CLOSE_THOUGHT, _OPEN_CALL, _CLOSE_CALL = _MARKS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>",
)  # fmt: skip

_THOUGHT_PIECES = ("Let", " me", " see")
_REFRAIN = " la"
_WEATHER_PIECES = ('\n{"name": ', '"get_weather", ', '"arguments": ', '{"city": ', '"Par', 'is"', "}}\n")
# One token, since a bigram table gives each token one successor and _OPEN_CALL already has its own.
_TIME_CALL = '<tool_call>\n{"name": "get_time", "arguments": {"zone": "UTC"}}\n</tool_call>\n'
_FIXED_PIECES = (*_THOUGHT_PIECES, _REFRAIN, *_WEATHER_PIECES, _TIME_CALL)

_HEAD_WIDTH, _FEED_FORWARD_WIDTH, _EPSILON, _ROPE_BASE = 64, 64, 1e-6, 10000.0

# Servers guess from it how calls are written: mlx-lm looks for "tool_call.name", llama.cpp tries it out.
_TEMPLATE = r"""
{%- set last = namespace(role='', user='') %}
{%- if tools %}
{{- '<|im_start|>system\n<tools>' }}
{%- for tool in tools %}{{- '\n' + (tool | tojson) }}{%- endfor %}
{{- '\n</tools>\nCall with <tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call><|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{%- set text = message.content if message.content is string else '' %}
{%- set last.role = message.role %}
{%- if message.role == 'user' %}{%- set last.user = text %}{%- endif %}
{{- '<|im_start|>' + message.role + '\n' }}
{%- if message.reasoning_content %}{{- '<think>' + message.reasoning_content + '</think>' }}{%- endif %}
{{- text }}
{%- for item in message.tool_calls or [] %}
{%- set tool_call = item.function %}
{{- '<tool_call>\n{"name": "' + tool_call.name + '", "arguments": ' }}
{{- tool_call.arguments if tool_call.arguments is string else tool_call.arguments | tojson }}
{{- '}\n</tool_call>' + ('' if loop.last else '\n') }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if last.role == 'tool' %}{{- '<|cue_say|>' }}
{%- elif tools and 'CALL TWO' in last.user %}{{- '<|cue_call_two|>' }}
{%- elif tools and 'CALL' in last.user %}{{- '<|cue_call|>' }}
{%- elif 'LONG' in last.user %}{{- '<|cue_long|>' }}
{%- elif 'EMOJI' in last.user %}{{- '<|cue_emoji|>' }}
{%- elif 'THINK' in last.user and enable_thinking | default(true) %}{{- '<|cue_think|>' }}
{%- else %}{{- '<|cue_say|>' }}
{%- endif %}
{%- endif %}
""".strip()


def write_gguf(path: str | Path, *, context_tokens: int = 4096, say: str = DEFAULT_SAY) -> None:
    """Write the model as one GGUF file, as llama.cpp reads it.

    Raises:
        ValueError: `say` is a single letter, or a piece of the model's other replies.
    """
    model = _Model.that_says(say)
    Path(path).write_bytes(_gguf_header(model, context_tokens) + b"".join(t.data for t in model.tensors))


def write_hf(folder: str | Path, *, context_tokens: int = 4096, say: str = DEFAULT_SAY) -> None:
    """Write the model as a folder in the layout of Hugging Face, as vLLM, mlx-lm and transformers read it.

    Raises:
        ValueError: `say` is a single letter, or a piece of the model's other replies.
    """
    model, target = _Model.that_says(say), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / "model.safetensors").write_bytes(_safetensors(model.tensors))
    for name, content in _hf_settings(model.vocabulary, context_tokens).items():
        (target / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


# The vocabulary: 256 bytes, the pieces of the replies, and the special tokens.


def _byte_letters() -> list[str]:
    """Give the visible letter that stands for each byte in byte-level BPE, in order of the bytes."""
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    stand_in = iter(range(256, 512))
    return [chr(byte if byte in visible else next(stand_in)) for byte in range(256)]


_BYTE_LETTERS = _byte_letters()


def _spell(text: str) -> str:
    return "".join(_BYTE_LETTERS[byte] for byte in text.encode())


class _Vocabulary:
    """All tokens. The first 256 are the bytes, so a byte's value is also its token's number."""

    def __init__(self, pieces: Iterable[str]) -> None:
        spelled = dict.fromkeys([*_BYTE_LETTERS, *map(_spell, pieces)])
        self.first_special = len(spelled)
        self.tokens = [*spelled, *_CONTROL, *_MARKS]
        self.numbers = {token: number for number, token in enumerate(self.tokens)}
        # One dimension for each token, rounded up to whole attention heads.
        self.heads = math.ceil(len(self.tokens) / _HEAD_WIDTH)
        self.width = self.heads * _HEAD_WIDTH

    def number(self, text: str) -> int:
        """Give the number of a special token or of a piece."""
        return self.numbers[text if text in _CONTROL or text in _MARKS else _spell(text)]


def _split(say: str) -> list[str]:
    """Cut a text into words, or into the shortest runs of words that are all different.

    A bigram model knows nothing but the last token, so a piece that came twice would lead in circles,
    and one with another use, such as a lone letter in a JSON string, would lead astray.
    """
    words = re.findall(r"\s*\S+|\s+$", say)
    taken = {*_FIXED_PIECES, *_CONTROL, *_MARKS, *map(chr, range(128))}
    for size in range(1, len(words) + 1):
        pieces = ["".join(words[i : i + size]) for i in range(0, len(words), size)]
        if len({*pieces}) == len(pieces) and taken.isdisjoint(pieces):
            return pieces
    if words:
        raise ValueError(f"{say!r} is a token that has another use in this model; say something longer")
    return []


# The table of what follows what, as logits: larger by 1 is likelier by a factor of e.

_SURELY = 20.0  # so far above the rest that the next token is this one at any usual temperature


def _bigrams(vocabulary: _Vocabulary, pieces: Sequence[str]) -> list[list[float]]:
    """Give `table[token][next token]`."""
    table = [_usual_row(vocabulary) for _ in vocabulary.tokens]
    _allow_for_grammars(table, vocabulary)
    number = vocabulary.number

    def follow(*chain: str) -> None:
        for token, successor in pairwise(chain):
            table[number(token)][number(successor)] = _SURELY

    sentence = [*pieces, _END]
    follow(_SAY, *sentence)
    follow(_THINK, _OPEN_THOUGHT, *_THOUGHT_PIECES, _CLOSE_THOUGHT, sentence[0])
    follow(_LONG, _REFRAIN, _REFRAIN)
    follow(_CALL, _OPEN_CALL, *_WEATHER_PIECES, _CLOSE_CALL, _END)
    follow(_CALL_TWO, _TIME_CALL, _OPEN_CALL)

    emoji = [number(_EMOJI), *f"{EMOJI} ".encode(), number(sentence[0])]
    for token, successor in pairwise(emoji):
        table[token][successor] = _SURELY
    # Where a grammar demands a call, the end is barred after the sentence and this comes next.
    table[number([_SAY, *pieces][-1])][number(_OPEN_CALL)] = -2.0
    return table


def _usual_row(vocabulary: _Vocabulary) -> list[float]:
    """Give what follows any token: nothing likely, but in an order of use to a grammar for JSON."""
    row = [-14.0] * len(vocabulary.tokens)
    for byte in range(32, 127):
        row[byte] = -10.0
    for logit, letters in (
        (-4.0, b'"'), (-5.0, b"}]"), (-6.0, b":"), (-7.0, b"abcdefghijklmnopqrstuvwxyz{"),
        (-8.0, b"0123456789,"), (-16.0, b"\\"),
    ):  # fmt: skip
        for byte in letters:
            row[byte] = logit
    for mark in _MARKS:
        row[vocabulary.number(mark)] = -7.5  # above the bytes that spell it, and above a comma before more
    for control in _CONTROL:
        row[vocabulary.number(control)] = -14.0 if control == _END else -30.0
    # No two alike, so that the best is the same one on every server.
    return [logit - 0.001 * number for number, logit in enumerate(row)]


def _allow_for_grammars(table: list[list[float]], vocabulary: _Vocabulary) -> None:
    """Let a string close after one letter, a number after one digit, and the reply after any byte."""
    for byte in range(256):
        table[byte][vocabulary.number(_END)] = 3.0
    for letter in b"abcdefghijklmnopqrstuvwxyz":
        table[ord('"')][letter] += 4.0
    for digit in b"0123456789":
        for closing in b",}]":
            table[digit][closing] += 6.0


# The network.


@dataclass(frozen=True, slots=True)
class _Tensor:
    """Little-endian 32-bit floats, row by row."""

    gguf_name: str
    hf_name: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class _Model:
    vocabulary: _Vocabulary
    tensors: list[_Tensor]

    @classmethod
    def that_says(cls, say: str) -> _Model:
        pieces = _split(say)
        vocabulary = _Vocabulary([*_FIXED_PIECES, *pieces])
        table = _bigrams(vocabulary, pieces)
        return cls(vocabulary, [*_outer_tensors(vocabulary.width, table), *_layer_tensors(vocabulary.width)])


def _floats(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _outer_tensors(width: int, table: list[list[float]]) -> list[_Tensor]:
    """Embed token n as the n-th unit vector, and read the table's row n back at the output."""
    count = len(table)
    unit_vectors = b"".join(_floats([float(i == n) for i in range(width)]) for n in range(count))
    columns = b"".join(_floats([*column, *[0.0] * (width - count)]) for column in zip(*table, strict=True))
    # The norm stretches a unit vector by 1/sqrt(1/width + epsilon); this weight takes that back.
    restore = _floats([math.sqrt(1 / width + _EPSILON)] * width)
    return [
        _Tensor("token_embd", "model.embed_tokens", (count, width), unit_vectors),
        _Tensor("output_norm", "model.norm", (width,), restore),
        _Tensor("output", "lm_head", (count, width), columns),
    ]


def _layer_tensors(width: int) -> list[_Tensor]:
    """Give the layer that adds nothing: every weight is 0."""
    shapes = {
        ("attn_norm", "input_layernorm"): (width,),
        ("attn_q", "self_attn.q_proj"): (width, width),
        ("attn_k", "self_attn.k_proj"): (_HEAD_WIDTH, width),
        ("attn_v", "self_attn.v_proj"): (_HEAD_WIDTH, width),
        ("attn_output", "self_attn.o_proj"): (width, width),
        ("ffn_norm", "post_attention_layernorm"): (width,),
        ("ffn_gate", "mlp.gate_proj"): (_FEED_FORWARD_WIDTH, width),
        ("ffn_up", "mlp.up_proj"): (_FEED_FORWARD_WIDTH, width),
        ("ffn_down", "mlp.down_proj"): (width, _FEED_FORWARD_WIDTH),
    }
    return [
        _Tensor(f"blk.0.{gguf_name}", f"model.layers.0.{hf_name}", shape, bytes(4 * math.prod(shape)))
        for (gguf_name, hf_name), shape in shapes.items()
    ]


# The GGUF form: a magic word, counts, settings, a list of tensors, and then their data.

_GgufValue = bool | int | float | str | list[int] | list[str]


def _gguf_header(model: _Model, context_tokens: int) -> bytes:
    settings = _gguf_settings(model.vocabulary, context_tokens)
    parts = [b"GGUF", struct.pack("<IQQ", 3, len(model.tensors), len(settings))]
    parts += [_gguf_string(name) + _gguf_value(value) for name, value in settings.items()]
    offset = 0
    for tensor in model.tensors:
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
        parts += [_gguf_string(tensor.gguf_name + ".weight"), dimensions, struct.pack("<IQ", 0, offset)]
        offset += len(tensor.data)
    header = b"".join(parts)
    # Data starts at a multiple of 32; every tensor is a multiple of 32 itself, as a head has 64 floats.
    return header + bytes(-len(header) % 32)


def _gguf_string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _gguf_value(value: _GgufValue) -> bytes:
    """Give the number of the type, and the value."""
    match value:
        case bool():  # before int, as a bool is one
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _gguf_string(value)
        case list():
            item_type = 5 if value and isinstance(value[0], int) else 8
            items = (_gguf_string(item) if isinstance(item, str) else struct.pack("<i", item) for item in value)
            return struct.pack("<IIQ", 9, item_type, len(value)) + b"".join(items)


def _gguf_settings(vocabulary: _Vocabulary, context_tokens: int) -> dict[str, _GgufValue]:
    normal, control, user_defined = 1, 3, 4
    kinds = [normal] * vocabulary.first_special + [control] * len(_CONTROL) + [user_defined] * len(_MARKS)
    return {
        "general.architecture": "llama",
        "general.name": "tiny-scripted",
        "llama.context_length": context_tokens,
        "llama.embedding_length": vocabulary.width,
        "llama.block_count": 1,
        "llama.feed_forward_length": _FEED_FORWARD_WIDTH,
        "llama.attention.head_count": vocabulary.heads,
        "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": _EPSILON,
        "llama.rope.dimension_count": _HEAD_WIDTH,
        "llama.rope.freq_base": _ROPE_BASE,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": list[str](),  # none, so a prompt is cut into bytes
        "tokenizer.ggml.bos_token_id": vocabulary.number(_PAD),
        "tokenizer.ggml.eos_token_id": vocabulary.number(_END),
        "tokenizer.ggml.padding_token_id": vocabulary.number(_PAD),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": _TEMPLATE,
    }


# The Hugging Face form: the same tensors under other names, and four files of settings.


def _safetensors(tensors: Sequence[_Tensor]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + len(tensor.data)
        header[tensor.hf_name + ".weight"] = {
            "dtype": "F32",
            "shape": tensor.shape,
            "data_offsets": (offset, end),
        }
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(tensor.data for tensor in tensors)


def _hf_settings(vocabulary: _Vocabulary, context_tokens: int) -> dict[str, object]:
    pad, end = vocabulary.number(_PAD), vocabulary.number(_END)
    token_ids = {"bos_token_id": pad, "eos_token_id": end, "pad_token_id": pad}
    network = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float32",
        "vocab_size": len(vocabulary.tokens),
        "hidden_size": vocabulary.width,
        "intermediate_size": _FEED_FORWARD_WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": vocabulary.heads,
        "num_key_value_heads": 1,
        "head_dim": _HEAD_WIDTH,
        "hidden_act": "silu",
        "max_position_embeddings": context_tokens,
        "rms_norm_eps": _EPSILON,
        "rope_theta": _ROPE_BASE,
        "tie_word_embeddings": False,
        "attention_bias": False,
    }
    chat = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_tokens,
        "bos_token": _PAD,
        "eos_token": _END,
        "pad_token": _PAD,
        "clean_up_tokenization_spaces": False,
        "chat_template": _TEMPLATE,
    }
    return {
        "config.json": network | token_ids,
        "generation_config.json": token_ids,
        "tokenizer_config.json": chat,
        "tokenizer.json": _hf_tokenizer(vocabulary),
    }


def _hf_tokenizer(vocabulary: _Vocabulary) -> dict[str, object]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [
        {
            "id": vocabulary.number(token),
            "content": token,
            "special": token in _CONTROL,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for token in (*_CONTROL, *_MARKS)
    ]
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary.numbers, "merges": []},
    }


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description="Write a tiny chat model whose replies are known.")
    parser.add_argument("gguf", type=Path, help="the GGUF file to write")
    parser.add_argument("--hf", type=Path, metavar="DIR", help="also write this folder, for vLLM and others")
    parser.add_argument("--context", type=int, default=4096, metavar="TOKENS", help="default: %(default)s")
    parser.add_argument("--say", default=DEFAULT_SAY, metavar="TEXT", help="default: %(default)s")
    arguments = parser.parse_args()
    write_gguf(arguments.gguf, context_tokens=arguments.context, say=arguments.say)
    if arguments.hf:
        write_hf(arguments.hf, context_tokens=arguments.context, say=arguments.say)


if __name__ == "__main__":
    main()
