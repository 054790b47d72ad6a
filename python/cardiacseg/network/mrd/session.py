"""One client's session: messages in, results out, until both sides have said CLOSE."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from cardiacseg.acquisition import UNKNOWN_BODY
from cardiacseg.errors import Error, MrdError
from cardiacseg.io.cine import Cine, SegmentedCine
from cardiacseg.network.mrd.messages import (
    E_TRUNCATED,
    Close,
    Config,
    Header,
    Image,
    Message,
    MessageLimits,
    Reader,
    Skipped,
    Text,
    close_bytes,
    image_bytes,
    text_bytes,
)
from cardiacseg.network.mrd.outbox import Outbox
from cardiacseg.network.mrd.parameters import Parameters, with_json
from cardiacseg.network.mrd.results import measurement_text, original_image, result_images
from cardiacseg.network.mrd.sources import Source, as_source, body_of
from cardiacseg.network.mrd.stacks import NOT_FOR_US, Refusal, Stack, TooFewSlicesError, find_stacks
from cardiacseg.network.serving import loggable

LOGGER = logging.getLogger("cardiacseg.network")
E_LOST, E_TIMEOUT, E_STOPPING, E_INTERNAL = "E_LOST", "E_TIMEOUT", "E_STOPPING", "E_INTERNAL"
E_LATE_IMAGE = "E_LATE_IMAGE"
_CUT_OFF = (E_LOST, E_TRUNCATED)
_OVERHEAD = 4096  # bytes of an image's own objects, at most
# Beginnings that Siemens' log viewer colors.
_PLAIN, _WARNING, _ERROR = "DBG", "WRN", "ERR"

SegmentCine = Callable[[Cine], SegmentedCine]
_DEFAULT, _LIMITS = Parameters(), MessageLimits()


@dataclass(frozen=True)
class SessionOptions:
    """``session_bytes``: memory of the images that a session holds, and of the results that wait for their client to
    read them; segmentation takes about as much again."""

    parameters: Parameters = _DEFAULT
    limits: MessageLimits = _LIMITS
    session_bytes: int = 1 << 30


@dataclass
class Counts:
    """What a session received, and ``made`` for its client, images that it has not read among them."""

    received: int = 0
    skipped: Counter = field(default_factory=Counter)
    made: int = 0
    stacks: int = 0


class Session:
    """Serves one client. ``segment`` has a function for each model's name; ``write`` sends bytes, or raises OSError.

    ``stopping`` says whether the server is being stopped, so that a stream that ends then is named as that.
    """

    def __init__(
        self,
        file: BinaryIO,
        write: Callable[[bytes], object],
        segment: Mapping[str, SegmentCine],
        options: SessionOptions,
        number: int = 1,
        stopping: Callable[[], bool] = lambda: False,
    ):
        self._reader = Reader(file, options.limits)
        self._outbox = Outbox(write, options.session_bytes)
        self._segment, self._options = segment, options
        self._number, self._stopping = number, stopping
        self._parameters, self._body = options.parameters, UNKNOWN_BODY
        self._series: int | None = None
        self._begun: set[int] = set()  # series
        self._answered: set[int] = set()  # those that were segmented when the next one began
        self._take_turns = False
        self._failure: Error | None = None
        self._numbers: Counter[int] = Counter()  # of the results of each series
        self._hold([])
        self.counts = Counts()

    def run(self) -> Error | None:
        """Serve until the end; return the failure, which the client was told, or ``None``. Never raises ``Exception``.

        A session fails if its stream cannot be read, or if a cine in it could not be segmented.
        """
        begin = time.perf_counter()
        with self._outbox:
            failure = self._serve()
            self._hold([])
            self._end(failure)
        self._log_end(failure, time.perf_counter() - begin)
        return failure

    def _serve(self) -> Error | None:
        try:
            self._read()
            self._outbox.flush()
        except Error as error:
            cut_off = getattr(error, "code", None) in _CUT_OFF and self._stopping()
            return MrdError(E_STOPPING, "the server is being stopped") if cut_off else error
        except TimeoutError:
            return MrdError(E_TIMEOUT, "the server waited too long for the client to send or to read")
        except OSError as error:
            return MrdError(E_LOST, f"the connection was lost: {error.strerror or type(error).__name__}")
        except Exception as error:  # no session may stop the server
            LOGGER.exception("session %d: internal error", self._number, exc_info=_without_values(error))
            return MrdError(E_INTERNAL, f"internal error ({type(error).__name__}); please report it")
        return self._failure

    def _read(self) -> None:
        while True:
            message = self._reader.next()
            if message is None:
                raise MrdError(E_LOST, "the client left without CLOSE")
            if isinstance(message, Close):
                self._finish()
                return
            self._handle(message)

    def _handle(self, message: Message) -> None:
        if isinstance(message, Image):
            self._take(as_source(message))
        elif isinstance(message, Config):
            self._parameters = replace(self._parameters, config=message.name)
            self._change(message.text)
        elif isinstance(message, Header):
            self._body = body_of(message.xml)
        elif isinstance(message, Text):
            self._change(message.text)
        elif isinstance(message, Skipped):
            if not self.counts.skipped[message.kind]:
                self._say(_WARNING, f"messages of the kind {message.kind} are not used")
            self.counts.skipped[message.kind] += 1

    def _change(self, text: str) -> None:
        self._parameters, problems = with_json(self._parameters, text, tuple(self._segment))
        for problem in problems:
            self._say(_WARNING, problem)

    def _take(self, source: Source) -> None:
        self.counts.received += 1
        expected = self._parameters.stacks
        if source.is_magnitude:
            self._enter(int(source.header["image_series_index"]))
        self._sources.append(source)
        self._reader.room -= source.image.bytes + _OVERHEAD
        self._planes += source.shape[0] if source.is_magnitude else 0
        if 0 < expected.slices * expected.phases <= self._planes:
            self._segment_complete()

    def _enter(self, series: int) -> None:
        """When a series begins, those before it are complete. Series that take turns wait for CLOSE."""
        if series == self._series:
            return
        if series in self._answered:
            self._fail(MrdError(E_LATE_IMAGE, f"images of series {series} came after its cine was segmented"))
        self._take_turns = self._take_turns or series in self._begun
        if self._by_series and self._begun and not self._take_turns:
            self._answered |= self._segment_complete()
        self._begun.add(series)
        self._series = series

    def _hold(self, sources: list[Source]) -> None:
        """Keep these images and no others."""
        self._sources = sources
        self._planes = sum(source.shape[0] for source in sources if source.is_magnitude)
        held = sum(source.image.bytes + _OVERHEAD for source in sources)
        self._reader.room = self._options.session_bytes - held

    @property
    def _by_series(self) -> bool:
        return self._parameters.group == "series"

    def _find(self, sources: list[Source], by_series: bool) -> tuple[list[Stack], list[Refusal]]:
        return find_stacks(sources, self._parameters.stacks, self._body, by_series=by_series)

    def _segment_complete(self) -> set[int]:
        """Segment the stacks that are whole; other images wait for CLOSE, since more of them may come. Gives series."""
        stacks, refusals = self._find(self._sources, self._by_series)
        for stack in stacks:
            self._answer(stack)
        waiting = {id(source) for refusal in refusals for source in refusal.sources}
        self._return([source for source in self._sources if id(source) not in waiting])
        self._hold([source for source in self._sources if id(source) in waiting])
        return {int(place.source.header["image_series_index"]) for stack in stacks for place in stack.places}

    def _finish(self) -> None:
        """Segment what is left. Series with too few slices are joined: some scanners make a series of each slice."""
        stacks, refusals = self._find(self._sources, self._by_series)
        short = [refusal for refusal in refusals if self._by_series and isinstance(refusal.error, TooFewSlicesError)]
        joined, still = self._find([source for refusal in short for source in refusal.sources], by_series=False)
        refusals = [refusal for refusal in refusals if refusal not in short] + still
        for stack in stacks + joined:
            self._answer(stack)
        self._return(self._sources)
        for refusal in refusals:
            self._refuse(refusal)

    def _answer(self, stack: Stack) -> None:
        """Segment a stack and send its results. An error is the session's failure, but other stacks go on."""
        frames, slices = stack.cine.image.shape[:2]
        begin = time.perf_counter()
        try:
            segmented = self._segment[self._parameters.model](stack.cine)
        except Error as error:
            self._fail(error, f"{frames * slices} images were not segmented: ")
            return
        segmented_at = time.perf_counter()
        for note in stack.cine.notes:
            self._say(_WARNING, f"{note.code}: {note.text}")
        for image in result_images(stack, segmented, self._parameters.results):
            self._number_in_series(image)
            self._send(image)
        self._say(_PLAIN, measurement_text(segmented))
        self.counts.stacks += 1
        LOGGER.info(
            "session %d: %d frames of %d slices segmented in %.2f s, results in %.2f s",
            *(self._number, frames, slices, segmented_at - begin, time.perf_counter() - segmented_at),
        )

    def _number_in_series(self, result: Image) -> None:
        series = int(result.header["image_series_index"])
        self._numbers[series] += 1
        result.header["image_index"] = self._numbers[series] % (1 << 16)

    def _return(self, sources: list[Source]) -> None:
        for source in sources if self._parameters.results.originals else ():
            self._send(original_image(source))

    def _refuse(self, refusal: Refusal) -> None:
        error, what = refusal.error, f"{len(refusal.sources)} images were not segmented: "
        if error.code not in NOT_FOR_US:
            self._fail(error, what)
            return
        LOGGER.info("session %d: %s%s", self._number, what, error)
        self._say(_WARNING, f"{what}{error}")

    def _fail(self, error: Error, what: str = "") -> None:
        """The session goes on, and will have failed."""
        self._failure = self._failure or error
        LOGGER.error("session %d: %s%s", self._number, what, loggable(error))
        self._say(_ERROR, f"{what}{error}")

    def _send(self, image: Image) -> None:
        self._outbox.write(image_bytes(image))
        self.counts.made += 1

    def _say(self, level: str, text: str) -> None:
        self._outbox.write(text_bytes(f"{level} {text}"))

    def _end(self, failure: Error | None) -> None:
        """The last messages; the client may be gone."""
        with suppress(Exception):
            if failure is not None and failure is not self._failure:
                self._say(_ERROR, str(failure))
            if failure is None or not self._parameters.drops:
                self._outbox.write(close_bytes())

    def _log_end(self, failure: Error | None, seconds: float) -> None:
        level = logging.INFO if failure is None else logging.ERROR
        counts = self.counts
        skipped = "".join(f", {count} of kind {kind} not used" for kind, count in counts.skipped.items())
        text = "session %d: %s after %.1f s; %d images received, %d for the client, %d stacks segmented%s"
        how = "ended" if failure is None else f"failed ({loggable(failure)})"
        LOGGER.log(level, text, self._number, how, seconds, counts.received, counts.made, counts.stacks, skipped)


def _without_values(error: Exception) -> Exception:
    """The error with its traceback and without its text, which may hold values of the stream."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
