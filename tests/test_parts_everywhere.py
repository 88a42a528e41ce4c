"""Images, sound, video and files, over all providers: each in the vendor's own form, or refused before it is sent."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport import AudioPart, BadRequestError, FilePart, ImagePart, Message, UnsupportedFeatureError, VideoPart
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator

from .in_chat_words import in_chat_words

PROVIDERS = ("compatible", *installed_providers())
SEEING = {  # models that take more than text
    "openai": "gpt-4o", "anthropic": "claude-sonnet-5", "deepseek": "deepseek-flash", "qwen": "qwen3-omni-flash",
    "glm": "glm-4.6v", "siliconflow": "Qwen/Qwen3-Omni-30B-A3B-Instruct", "groq": "qwen/qwen3.8-27b",
    "moonshot": "kimi-k3", "together": "some/vision-model", "fireworks": "accounts/fireworks/models/kimi-k2p6",
    "mistral": "mistral-small-latest", "cerebras": "qwen-3.8-27b",
    "azure": "gpt-4o", "bedrock": "zai.glm-5",
}  # fmt: skip
PNG, WAV = b"\x89PNG\r\n\x1a\n-png-", b"RIFF1234WAVEfmt "
MP4, PDF = b"\x00\x00\x00\x18ftypmp42----", b"%PDF-1.7 \xff\xfe"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(PNG)}"}}
SOUND = {"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}}
VIDEO = {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{b64(MP4)}"}}
PDF_URL = f"data:application/pdf;base64,{b64(PDF)}"
FILE = {"type": "file", "file": {"file_data": PDF_URL, "filename": "a.pdf"}}
NOTHING = None
FORMS: dict[str, tuple[Any, Any, Any, Any]] = {
    "anthropic": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}},
        NOTHING, NOTHING,
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)},
         "title": "a.pdf"},
    ),
    "openai": (IMAGE, SOUND, NOTHING, FILE),
    "qwen": (
        IMAGE, {**SOUND, "input_audio": {"data": f"data:;base64,{b64(WAV)}", "format": "wav"}}, VIDEO, NOTHING,
    ),
    "siliconflow": (
        IMAGE, {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{b64(WAV)}"}}, VIDEO, NOTHING,
    ),
    "gemini": (IMAGE, SOUND, NOTHING, NOTHING),
    "glm": (IMAGE, NOTHING, VIDEO, NOTHING),
    "minimax": (IMAGE, NOTHING, VIDEO, NOTHING),
    "moonshot": (IMAGE, NOTHING, VIDEO, NOTHING),
    "fireworks": (IMAGE, NOTHING, VIDEO, NOTHING),
    "groq": (IMAGE, NOTHING, NOTHING, NOTHING),
    "perplexity": (IMAGE, NOTHING, NOTHING, NOTHING),
    "xai": (IMAGE, NOTHING, NOTHING, NOTHING),
    "deepseek": (IMAGE, NOTHING, NOTHING, NOTHING),
    "together": (IMAGE, SOUND, VIDEO, NOTHING),
    "cerebras": (IMAGE, NOTHING, NOTHING, NOTHING),
    "mistral": (
        IMAGE, NOTHING, NOTHING,
        {"type": "document_url", "document_url": PDF_URL, "document_name": "a.pdf"},
    ),
    "vertex": (
        IMAGE, SOUND, {"type": "image_url", "image_url": VIDEO["video_url"]},
        {"type": "image_url", "image_url": {"url": f"data:application/pdf;base64,{b64(PDF)}"}},
    ),
    "azure": (IMAGE, NOTHING, NOTHING, FILE),
    "bedrock": (IMAGE, NOTHING, NOTHING, NOTHING),
}  # fmt: skip
"""An image, a sound, a video and a document as each vendor has them; the others have the standard's, all four."""
MADE = (
    ImagePart.from_bytes(PNG),
    AudioPart(WAV, "wav"),
    VideoPart.from_bytes(MP4),
    FilePart(data=PDF, filename="a.pdf"),
)
CASES = [
    (name, part, wanted)
    for name in PROVIDERS
    for part, wanted in zip(MADE, FORMS.get(name, (IMAGE, SOUND, VIDEO, FILE)), strict=True)
]


@cache
def client() -> chatport.Client:
    providers: dict[str, Any] = {"compatible": {"kind": "compatible", "base_url": "https://acme.example/v1"}}
    for name in installed_providers():
        url = {} if load_provider(name).base_url else {"base_url": "https://x.example/v1"}
        providers[name] = {"api_key": "k", **url}
    return chatport.Client(config={"providers": providers})


def sent(name: str, part: Any) -> dict[str, Any]:
    """Return a part as it would be sent to a provider."""
    model = SEEING.get(name) or ("m" if name == "compatible" else Emulator(name).vendor.models[0])
    body = in_chat_words(client().explain([Message.user("?", part)], model=f"{name}:{model}").body)
    content = body["messages"][-1]["content"]
    return dict(content[-1])


@pytest.mark.parametrize(
    ("name", "part", "wanted"), CASES, ids=[f"{name}-{type(part).__name__}" for name, part, _ in CASES]
)
def test_bytes_go_as_the_vendor_has_them(name: str, part: Any, wanted: Any) -> None:
    if wanted is NOTHING:
        with pytest.raises(UnsupportedFeatureError, match="takes"):
            sent(name, part)
        return
    assert json.loads(json.dumps(sent(name, part))) == wanted


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_text_file_is_read_by_whoever_takes_one(name: str) -> None:
    """As a file, as a document, or in so many words, where only PDF is a file."""
    forms: dict[str, Any] = {
        "openai": {"type": "text", "text": "a.txt:\n\nhello"},  # OA-M3
        "mistral": {"type": "text", "text": "a.txt:\n\nhello"},  # MI-M3
        "vertex": {"type": "text", "text": "a.txt:\n\nhello"},  # GM-M1
        "anthropic": {
            "type": "document", "title": "a.txt",
            "source": {"type": "text", "media_type": "text/plain", "data": "hello"},
        },
    }  # fmt: skip
    plain = {"type": "file", "file": {"file_data": f"data:text/plain;base64,{b64(b'hello')}", "filename": "a.txt"}}
    part = FilePart.from_bytes(b"hello", "a.txt")
    if FORMS.get(name, (plain,))[-1] is NOTHING:
        with pytest.raises(UnsupportedFeatureError):
            sent(name, part)
        return
    assert sent(name, part) == forms.get(name, plain)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "part",
    [
        Path("a.png"), PNG, ImagePart("a.png"), ImagePart(""), AudioPart("a.wav", "wav"), AudioPart("", "wav"),
        AudioPart(b"", "wav"), AudioPart(b"????"), VideoPart("a.mp4"), VideoPart(""), FilePart(), FilePart("a.pdf"),
        FilePart(data="a.pdf"), FilePart(data=b""), FilePart(filename="a.pdf"), ImagePart("data:image/png;base64,"),
    ],
    ids=lambda part: repr(part)[:40],
)  # fmt: skip
def test_a_mistake_is_the_callers_whoever_is_asked(name: str, part: Any) -> None:
    with pytest.raises(BadRequestError, match=r"messages\[0\]\.content\[1\]"):
        sent(name, part)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "part",
    [
        FilePart.from_bytes(b"\x00\x01", "a.bin"), FilePart.from_bytes(b"PK", "a.docx"), FilePart("file-1"),
        FilePart(data="data:text/plain;base64,!!!", filename="a.txt"), FilePart(data="https://x.example/a.pdf"),
        FilePart.from_bytes(b"caf\xe9", "a.txt"), ImagePart("data:image/svg+xml,%3Csvg/%3E"), ImagePart("gs://b/a.png"),
        ImagePart("file:///srv/a.png"), AudioPart(f"data:audio/wav;base64,{b64(WAV)}"),
        AudioPart("https://x.example/a", "wav"),
        VideoPart("https://x.example/a.mp4"), VideoPart("gs://b/a.mp4"), ImagePart(b64(PNG)), FilePart(data=b64(PDF)),
    ],
    ids=lambda part: repr(part)[:40],
)  # fmt: skip
def test_whatever_can_be_meant_is_sent_or_refused_and_no_plugin_is_to_blame(name: str, part: Any) -> None:
    try:
        json.dumps(sent(name, part))
    except BadRequestError:  # UnsupportedFeatureError is one; a PluginError is none
        return
