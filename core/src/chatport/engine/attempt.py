"""One attempt: send the request, read the answer, decode it into a Collector. Pure; see `commands`."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from .. import events as ev, jsoncodec
from ..basics.secret import Revealed
from ..call import Chunk, Failure, StreamState, Verdict
from ..decoding.body import LARGEST_PIECE, BodyDecoder, body_decoder, is_undecided, less_blanks, looks_like_events
from ..decoding.collector import Collector
from ..decoding.redaction import hide_key, hide_key_in_error, hide_key_in_reply
from ..decoding.sse import EventStreamParser, ServerSentEvent
from ..errors import (
    ChatportError,
    DeadlineError,
    MalformedReplyError,
    ServerError,
    StreamInterruptedError,
    TransportError,
    over_limit,
)
from ..plugins.guarding import blamed, guarded, wrong_result
from ..plugins.results import problem_of
from ..standard.endings import UNKNOWN
from ..types import Cost, Reply, Usage
from .commands import Clock, Command, Deliver, Head, Read, Send, TimerExpired, TransportFailure, Wait
from .delivery import Delivery
from .route import Route, request_id, run_side_hook, tell_who_was_asked
from .store import Store, too_large
from .timers import Timers

if TYPE_CHECKING:
    from ..decoding.caller_names import CallerNames

__all__ = ["AttemptRun"]


Steps = Generator[Command, Any, None]
_DRAIN_SECONDS = 0.2
_COMPACTED_BYTES = 256 * 1024  # after so many bytes of a stream, small pieces are joined
_ERROR_BODY_SECONDS = 10.0  # a status has come: its explanation is worth no longer wait
_HOPELESS = ("tls", "unsupported_protocol", "invalid_url", "invalid_request", "no_descriptors")
"""Failures of the transport that the next attempt would meet again."""
_PUBLIC = frozenset(
    (
        ev.TextDelta,
        ev.ReasoningDelta,
        ev.ToolCallDelta,
        ev.ToolCallEnded,
        ev.RefusalDelta,
        ev.AudioDelta,
        ev.MediaAdded,
        ev.ServerStep,
        ev.UsageReported,
    )
)


class AttemptRun:
    """The state of one attempt, readable at any moment by the machine that runs it.

    `heard` turns true with the first byte of a response.

    `leave_after` are the seconds after which a target that has said nothing yet is left for the next one. `resumed`
    is the part of an answer from which this attempt goes on. `on_first_event` is called once, with the first content.
    """

    def __init__(
        self,
        route: Route,
        clock: Clock,
        call_started: float,
        *,
        deliver: bool,
        leave_after: float | None = None,
        resumed: Collector | None = None,
        on_first_event: Callable[[], None] | None = None,
    ) -> None:
        self.route = route
        self._limits = limits = route.context.limits
        self.collector = Collector(limits) if resumed is None else resumed
        self.head: Head | None = None
        self.raw: Any = None
        self.heard = False
        self.known_cost: tuple[Usage, bool, Cost | None] | None = None
        """What a usage costs, with or without reasoning, once it has been worked out."""
        self._clock = clock
        self._delivery = Delivery(self.collector, takes_events=deliver)
        self._caller_names: CallerNames | None = None
        if route.names or route.wire.output_tool is not None or resumed is not None:
            from ..decoding.caller_names import CallerNames  # most calls have no other names

            self._caller_names = CallerNames(route.names, route.wire.output_tool, is_resumed=resumed is not None)
        self._shows_chunks = route.is_native and self._caller_names is None
        self._on_first_event = on_first_event
        self._timers = Timers(route.timeouts, clock.monotonic, call_started, leave_after)
        self._state = StreamState()
        self._streams = False

    @property
    def committed(self) -> bool:
        """Whether a content event has been handed to the caller: from then on nothing may be tried again."""
        return self._delivery.is_begun

    def run(self) -> Steps:
        """Run the attempt to its end. Raises the ChatportError that ended it, with what was received in `partial`."""
        error: ChatportError
        cause: TransportFailure | None = None
        try:
            yield from self._exchange()
            return
        except TransportFailure as failure:
            failure.args = (hide_key(str(failure), self._key()),)
            error, cause = self._transport_error(failure), failure.with_traceback(None)
        except TimerExpired as expired:
            is_connect = expired.stage == "connect"
            error = self._timers.error("connect") if is_connect else self._timers.expired(streams=self._streams)
        except ChatportError as problem:
            error = problem
            if type(error) is TransportError and self._streams and self._state.started:  # its compression was cut
                error = StreamInterruptedError(f"The stream was cut: {problem.message}")
        # Without what was caught, and its frames: their locals hold the vendor's bytes, and some echo the key in them.
        located = self._located(error).with_traceback(None)
        raise located from cause or located.__cause__

    def _exchange(self) -> Steps:
        self._streams = self.route.wire.stream
        connect = self.route.timeouts.connect
        left = self._timers.remaining(streams=self._streams)
        if left == 0.0:  # nothing was sent, so nothing can have come
            raise self._timers.expired(streams=self._streams)
        head: Head = yield Send(self.route.request, connect, left)
        self.head, self.heard = head, True
        self._timers.byte_arrived()
        if not 200 <= head.status < 300:
            yield from self._fail(head)
            return
        body = body_decoder(head.headers.get("content-encoding", ""))
        first, more = yield from self._first_bytes(body)
        if looks_like_events(head.headers.get("content-type", ""), first, asked=self.route.wire.stream):
            self._streams = True
            yield from self._read_events(body, chain((first,), more))
        else:
            self._streams = False
            self._timers.answer_begun()
            batch = self._read_reply((yield from self._whole_body(body, chain((first,), more))).strip())
            yield from self._complete(batch)

    # --- bytes

    def _first_bytes(self, body: BodyDecoder) -> Generator[Command, Any, tuple[bytes, Iterator[bytes]]]:
        """Read until something other than white space has come, and enough of it to know an event stream by.

        Vendors send blank lines while a plain request is queued (DS-S2). The second value is the rest of the last read.
        """
        first = b""
        while True:
            data: bytes = yield Read(self._timers.remaining(streams=self._streams))
            if not data:
                body.close()
                return first, iter(())
            self._timers.byte_arrived()
            pieces = iter(body.feed(data))
            for piece in pieces:
                first += piece
                if not is_undecided(first):
                    return first, pieces
                first = less_blanks(first)

    def _whole_body(
        self,
        body: BodyDecoder,
        pieces: Iterable[bytes],
        most_seconds: float | None = None,
        most_bytes: float = math.inf,
    ) -> Generator[Command, Any, bytes]:
        content = bytearray()  # not a list of the pieces: they may be of one byte each
        while True:
            for piece in pieces:
                content += piece
                if len(content) > self._limits.body_bytes:
                    raise too_large(self._limits)
                if len(content) >= most_bytes:
                    return bytes(content)
            left = self._timers.remaining(streams=self._streams)
            if most_seconds is not None:
                left = most_seconds if left is None else min(most_seconds, left)
            data: bytes = yield Read(left)
            if not data:
                body.close()
                return bytes(content)
            self._timers.byte_arrived()
            pieces = body.feed(data)

    # --- a stream

    def _read_events(self, body: BodyDecoder, pieces: Iterable[bytes]) -> Steps:
        parser = EventStreamParser(max_event_bytes=self._limits.event_bytes)
        timers, state, delivery = self._timers, self._state, self._delivery
        store = Store(self.collector, state, self._caller_names, self._limits)
        received = 0
        while True:
            for piece in pieces:
                arrived = parser.feed(piece)
                if arrived:
                    batch, problem = self._taken(arrived)
                    ready = delivery.ready(batch, problem)
                    if ready:
                        yield Deliver(ready)
                        timers.resumed()
                    if problem is not None:
                        raise problem
                received += len(piece)
                if received >= _COMPACTED_BYTES:
                    store.keep_small(received)
                    received = 0
                if len(piece) >= LARGEST_PIECE and body.is_compressed and not state.ended:
                    yield from self._breathe()
            if state.ended:
                break
            data: bytes = yield Read(timers.remaining(streams=True))
            if not data:
                body.close()
                break
            timers.byte_arrived()
            pieces = body.feed(data)
        if self._state.ended:
            yield from self._drain()
        else:
            yield from self._take_rest(parser)
        yield from self._finish_stream(parser)

    def _breathe(self) -> Steps:
        """Let others have their turn, and timers fire: a read of compressed bytes may mean the work of many seconds."""
        yield Wait(0.0)
        self._timers.remaining(streams=True)

    def _drain(self) -> Steps:
        """Read what follows the vendor's own end event, so that the connection can be used again."""
        try:
            for _ in range(16):
                if not (yield Read(_DRAIN_SECONDS)):
                    return
        except (TransportFailure, TimerExpired, DeadlineError):
            return

    def _take_rest(self, parser: EventStreamParser) -> Steps:
        """Take a last event that lacks its blank line, if its data prove themselves whole: JSON has no half object."""
        rest = parser.close()
        if rest is None:
            return
        if rest.data.strip() != b"[DONE]":
            try:
                jsoncodec.decode(rest.data)
            except ValueError:
                return
        batch, problem = self._taken([rest])
        ready = self._delivery.ready(batch, problem)
        if ready:
            yield Deliver(ready)
        if problem is not None:
            raise problem

    def _taken(self, arrived: list[ServerSentEvent]) -> tuple[list[ev.Event], ChatportError | None]:
        """Decode the events of one read; return what is to be handed over, and the error that ends it, if any."""
        decode, context, wire = self.route.plan.decode_chunk, self.route.context, self.route.wire
        state, collector, most_values = self._state, self.collector, self._limits.values
        batch: list[ev.Event] = []
        problem: ChatportError | None = None
        event: ServerSentEvent | None = None
        decoded: Any = None
        try:
            for event in arrived:
                decoded = None
                if len(event.data) > most_values:
                    self._check_values(event.data)
                decoded = decode(Chunk(event.data, event.event), state, context, wire)
                if type(decoded) is not list:  # a hook may be a generator, which may fail after its first events
                    decoded = list(decoded or ())
                if self._shows_chunks:  # one that cannot be read is nobody's
                    batch.append(ev.ChunkSeen(event.event, event.data, context.provider.name))
                if decoded:
                    self._collect(decoded, batch)
                if collector.error is not None or state.ended:
                    break
        except Exception as error:
            problem = self._fault_of_chunk(event, decoded, error)
        if collector.error is not None and problem is None:
            problem = self._reported(batch)
        return batch, problem

    def _fault_of_chunk(self, event: ServerSentEvent | None, decoded: Any, error: Exception) -> ChatportError:
        """Return the error for a decoder that failed, or gave what is no list of events."""
        plan, context, wire = self.route.plan, self.route.context, self.route.wire
        is_ours = isinstance(error, ChatportError) or event is None
        if not is_ours and event is not None and problem_of("decode_chunk", decoded) is not None:
            again = (Chunk(event.data, event.event), StreamState(), context, wire)  # this state has seen the chunk
            return wrong_result("decode_chunk", decoded, plan.decode_chunk, again, context)
        return blamed(context, "decode_chunk", error)

    def _check_values(self, data: bytes) -> None:
        try:
            jsoncodec.check_values(data, self._limits.values)
        except ValueError:
            raise over_limit("A stream event", self._limits.values, "JSON values", "values") from None

    def _collect(self, decoded: Any, batch: list[ev.Event]) -> None:
        add = self.collector.add
        has_content = False
        try:
            for event in decoded if self._caller_names is None else self._caller_names.events(decoded):
                if add(event):
                    has_content = True
                if type(event) in _PUBLIC:
                    batch.append(event)
                elif isinstance(event, ev.FinishReported):
                    batch.extend(self.collector.ended_calls(event.choice))
                elif type(event) is ev.CitationReported:
                    told = self.collector.cite(event)
                    if told is not None:
                        batch.append(told)
        finally:
            if has_content:
                self._note_content()

    def _note_content(self) -> None:
        self._timers.event_arrived()
        if self._on_first_event is not None:
            tell, self._on_first_event = self._on_first_event, None
            tell()

    def _finish_stream(self, parser: EventStreamParser) -> Steps:
        if not self.collector.is_finished and not self._state.ended:
            raise self._unfinished(parser)
        if not (self._state.choices or self.collector.has_content or self.collector.is_finished):
            raise MalformedReplyError(
                f"The stream ended in order, but without a single {'choice' if self._state.started else 'chunk'}.",
                raw=self.collector.envelope or None,
                retryable=True,
            )
        yield from self._complete([])

    def _unfinished(self, parser: EventStreamParser) -> ChatportError:
        stray = parser.stray
        if stray is not None and not self.collector.has_content:
            return self._body_error(stray)
        return StreamInterruptedError(
            "The stream ended without its finish"
            + (" after a part of the answer." if self.collector.has_content else ", before any content."),
            raw=None if self.collector.has_content else self.collector.envelope or None,
        )

    # --- a whole reply

    def _read_reply(self, content: bytes) -> list[ev.Event]:
        """Take a whole reply; return what is to be handed over of it."""
        self.raw = self._decoded(content)
        del content  # it may be large, and an error makes more of it
        batch: list[ev.Event] = []
        route = self.route
        decoded = guarded(route.context, "decode_reply", route.plan.decode_reply, self.raw, route.context, route.wire)
        self._collect(decoded or (ev.ErrorReported(self.raw),), batch)
        if self.collector.error is not None:
            problem = self._reported(batch)
            if problem is not None:
                raise problem
        return batch

    def _decoded(self, content: bytes) -> Any:
        limits = self._limits
        try:
            if self.route.operation != "embeddings":
                return jsoncodec.decode(content, limits.values)
            jsoncodec.check_numbers(content, limits.embedding_values, limits.values)
            return jsoncodec.decode(content, math.inf)
        except jsoncodec.TooDeepError as error:
            raise MalformedReplyError(f"The reply cannot be read: {error}.") from None
        except jsoncodec.TooManyValuesError as error:
            setting = "values" if "values" in str(error) else "embedding_values"  # else: more numbers
            raise MalformedReplyError(
                f"The reply cannot be read: {error}; raise limits.{setting} if it really has.",
                raw=content[:2000].decode("utf-8", "replace"),
            ) from None
        except ValueError:
            raise self._body_error(content) from None

    def _complete(self, batch: list[ev.Event]) -> Steps:
        """Close what is still open, and hand over all that is left, whether or not there was any content."""
        still_open = self.collector.end()
        if not self.collector.has_content:
            self._check_said()
        for index in still_open:
            batch.extend(self.collector.ended_calls(index))
        rest = self._delivery.rest(batch)
        if rest:
            yield Deliver(rest)
            self._timers.resumed()

    def _check_said(self) -> None:
        """Raise ServerError for an end with nothing before it, where nobody knows it or the vendor means a failure."""
        if self.route.operation != "chat":
            return
        first, is_failure = self.collector.first, self.route.context.provider.dialect.empty_is_error
        if first.finish in (UNKNOWN, None):
            end = "without saying why" if first.raw_finish is None else f"with {first.raw_finish!r}"
            raise ServerError(f"The answer ended {end}, and with nothing in it.", code="empty_answer")
        if is_failure and first.finish == "stop":
            raise ServerError("The answer ended in order, with nothing in it.", code="empty_answer")

    # --- errors

    def _fail(self, head: Head) -> Steps:
        """Read an error response and raise what the chain makes of it, or take the reply it turns it into."""
        from ..decoding.failures import LARGEST_ERROR_BYTES, failure_of  # words and patterns that only errors need

        if 300 <= head.status < 400:
            raise TransportError(
                f"The server redirects (to {head.headers.get('location', 'nowhere')[:200]!r}). Redirects are not "
                "followed, since key and prompt would go elsewhere; set base_url to the right address.",
                retryable=False,
                status=head.status,
            )
        self._streams = False
        try:
            body = body_decoder(head.headers.get("content-encoding", ""))
            content = yield from self._whole_body(body, (), _ERROR_BODY_SECONDS, LARGEST_ERROR_BYTES)
        except (TransportFailure, TimerExpired, ChatportError):
            content = b""  # the status alone must do
        batch: list[ev.Event] = []
        self._raise_or_take(failure_of(head.status, head.headers, "response", content, self._key()), batch)
        yield from self._complete(batch)

    def _reported(self, batch: list[ev.Event]) -> ChatportError | None:
        """Return the error that a chunk or a 200 body reports, None if the chain turns it into a reply."""
        from ..decoding.failures import failure_of, without_answer  # words and patterns that only errors need

        reported, self.collector.error = self.collector.error, None
        assert reported is not None
        where: Literal["chunk", "body"] = "chunk" if self._streams else "body"
        status = self.head.status if self.head else 200
        headers = self.head.headers if self.head else {}
        failure = failure_of(status, headers, where, without_answer(reported.data), self._key())
        try:
            self._raise_or_take(failure, batch)
        except ChatportError as error:
            return error
        return None

    def _raise_or_take(self, failure: Failure, batch: list[ev.Event]) -> None:
        verdict = self._verdict_on(failure)
        if verdict is None or not verdict.events:
            raise self._error_of(failure, verdict)
        self._collect(verdict.events, batch)
        self._state.ended = self._state.started = True

    def _body_error(self, content: bytes) -> ChatportError:
        from ..decoding.failures import failure_of  # words and patterns that only errors need

        failure = failure_of(200, self.head.headers if self.head else {}, "body", content, self._key())
        return self._error_of(failure, self._verdict_on(failure))

    def _error_of(self, failure: Failure, verdict: Verdict | None) -> ChatportError:
        from ..decoding.failures import error_of  # words and patterns that only errors need

        limits = None
        if verdict is not None and verdict.retry_after_seconds is None and failure.where == "response":
            limits = run_side_hook(self.route, "read_rate_limits", failure.headers)
        asked = hide_key(self.route.request.url, self._key())
        return error_of(failure, verdict, self.route.context, self._clock.utcnow(), limits, asked)

    def _verdict_on(self, failure: Failure) -> Verdict | None:
        context = self.route.context
        verdict: Verdict | None = guarded(context, "classify_error", self.route.plan.classify_error, failure, context)
        return verdict

    def _key(self) -> Revealed:
        return self.route.request.revealed_key()

    def _transport_error(self, failure: TransportFailure) -> ChatportError:
        if failure.stage == "body" and self._streams and self._state.started:
            return StreamInterruptedError(f"The connection broke in the middle of the stream: {failure}.")
        return TransportError(
            f"{failure}.",
            code=failure.kind or None,
            retryable=failure.kind not in _HOPELESS,
        )

    def _located(self, error: ChatportError) -> ChatportError:
        """Fill in where it happened, and what had been received; take out the key, should the vendor have echoed it."""
        error.provider = error.provider or self.route.context.provider.name
        error.model = error.model or self.route.context.model
        tell_who_was_asked(error, self.route.asked, self.route.context.model)
        if self.head is not None:
            error.request_id = request_id(self.head, self.route.context) or error.request_id
            if error.status is None and not 200 <= self.head.status < 300:
                error.status = self.head.status
        for event in () if self._caller_names is None else self._caller_names.left_beside():
            self.collector.add(event)
        if error.partial is None and (self.collector.has_content or isinstance(error, StreamInterruptedError)):
            error.partial = self.partial()
        return hide_key_in_error(error, self._key())

    def partial(self) -> Reply:
        """Return what has been received so far."""
        reply = self.collector.reply(
            raw=self.raw,
            provider=self.route.context.provider.name,
            model=self.collector.model or self.route.context.model,
            request_id=None if self.head is None else request_id(self.head, self.route.context),
            warnings=self.route.wire.adjustments,
            protocol=self.route.context.provider.protocol,
        )
        return hide_key_in_reply(reply, self._key())
