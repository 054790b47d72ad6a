"""What the library raises on purpose, or warns of. Each message is a sentence: what was expected, what came, where."""

from typing import Any


class Error(Exception):
    """Base of the library's errors."""


class InvalidInputError(Error, ValueError):
    """An image, a spacing, labels or an option that cannot be used.

    ``code``, where there is one, is stable and begins the message.
    """

    def __init__(self, sentence: str = "", *, code: str | None = None):
        super().__init__(f"{code}: {sentence}" if code else sentence)
        self.code = code


class BundleNotFoundError(Error, FileNotFoundError):
    """A bundle, or a file of it, that is not there."""


class BundleError(Error, ValueError):
    """A bundle that is truncated, altered, of a newer format, or leaves its folder."""


class BackendError(Error, RuntimeError):
    """An unavailable device, or a failure inside the inference library."""


class OutputError(Error, OSError):
    """Results that the system did not let us write: no space left, no permission, a file in a folder's place."""


class CancelledError(Error):
    """The caller's progress function asked to stop, or the interpreter ends."""


class InputWarning(UserWarning):
    """Something that makes a run's labels doubtful, though not impossible: what ``Result.warnings`` holds.

    ``code`` is stable and begins the message: ``W_PIXEL_SIZE`` (pixels smaller or larger than those of a human study),
    ``W_SPACING_ORDER`` (a spacing that looks like (x, y, z)), ``W_QUALITY`` (the model expects a mean Dice below 0.5).
    """

    def __init__(self, code: str, sentence: str):
        super().__init__(f"{code}: {sentence}")
        self.code, self.sentence = code, sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.sentence)


class DicomError(InvalidInputError):
    """DICOM files that cannot be used as a short-axis cine.

    ``code`` is stable (``E_MISSING_PHASE``, ...; :mod:`cardiacseg.io.dicom.errors` lists them) and begins the message,
    of which ``sentence`` is the rest.
    """

    def __init__(self, code: str, sentence: str):
        super().__init__(sentence, code=code)
        self.sentence = sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.sentence)


class NetworkError(Error, ConnectionError):
    """A DICOM node that cannot be reached, refuses, stops in the middle or does not take a file."""
