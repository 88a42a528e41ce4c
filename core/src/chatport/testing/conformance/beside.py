"""What an answer holds beside its text and its calls: sources and pictures, in a stream as in a plain reply."""

from __future__ import annotations

from ...types import Reply
from .subject import ConformanceTests, Exchange

__all__ = ["BesideTests"]

_URL, _TITLE = "https://sources.example/chatport", "A source of the suite"
_DATA = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
_KEEP = "report sources as CitationReported and pictures as MediaAdded, or leave them to the standard's own decoders"


class BesideTests(ConformanceTests):
    """The emulator names a source and draws a picture, where its vendor's shapes have a place for them."""

    def test_sources_and_pictures_are_kept_plain_and_streamed(self) -> None:
        it = self.subject
        says = {"citations": ((_URL, _TITLE),), "pictures": (f"data:image/png;base64,{_DATA}",)}
        plain, streamed = (it.exchange("say: fine", stream, says=says) for stream in (False, True))
        for done, hook in ((plain, "decode_reply"), (streamed, "decode_chunk")):
            if done.reply is not None:
                self._check_source(done, done.reply, hook)
                self._check_picture(done, done.reply, hook)
        if plain.reply is not None and streamed.reply is not None and _both(plain, streamed):
            same = (plain.reply.citations, plain.reply.media) == (streamed.reply.citations, streamed.reply.media)
            it.check(same, "decode_chunk, decode_reply", says, "a stream keeps other ones than a plain reply", _KEEP)

    def _check_source(self, done: Exchange, reply: Reply, hook: str) -> None:
        if _URL.encode() not in done.answered:
            self.subject.leave(f"sources ({hook})", "the emulator has no place for them")
            return
        kept = any((cited.url, cited.title) == (_URL, _TITLE) for cited in reply.citations)
        self.subject.check(kept, hook, done.answered, f"the source was lost: {reply.citations}", _KEEP)

    def _check_picture(self, done: Exchange, reply: Reply, hook: str) -> None:
        if _DATA.encode() not in done.answered:
            self.subject.leave(f"pictures ({hook})", "the emulator has no place for them")
            return
        kept = any((media.kind, media.data) == ("image", _DATA) for media in reply.media)
        self.subject.check(kept, hook, done.answered, f"the picture was lost: {reply.media}", _KEEP)


def _both(plain: Exchange, streamed: Exchange) -> bool:
    return all((mark.encode() in plain.answered) == (mark.encode() in streamed.answered) for mark in (_URL, _DATA))
