"""The library's errors and warnings. Each message is a sentence: what was expected, what was got, and where."""

from typing import Any


class Error(Exception):
    """Base class of the library's errors."""


class InvalidInputError(Error, ValueError):
    """An image, a spacing, labels or an option that cannot be used.

    ``code`` is stable and begins the message; ``None`` if the error has none.
    """

    def __init__(self, sentence: str = "", *, code: str | None = None):
        super().__init__(f"{code}: {sentence}" if code else sentence)
        self.code = code


class BundleNotFoundError(Error, FileNotFoundError):
    """A bundle, or a file of it, that does not exist."""


class BundleError(Error, ValueError):
    """A bundle that is truncated, altered or of a newer format, or that names files outside of its folder."""


class BackendError(Error, RuntimeError):
    """An unavailable device, or a failure inside the inference library."""


class OutputError(Error, OSError):
    """Results that cannot be written: no space left, no permission, a file in the place of a folder."""


class CancelledError(Error):
    """The caller's progress function stopped the run, or the interpreter ends."""


class InputWarning(UserWarning):
    """A reason to doubt a run's labels; ``Result.warnings`` holds these.

    ``code`` is stable and begins the message: ``W_PIXEL_SIZE`` (pixels smaller or larger than those of a human study),
    ``W_SPACING_ORDER`` (a spacing that looks like (x, y, z)), ``W_QUALITY`` (predicted mean Dice below 0.5).
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
    """A DICOM node that cannot be reached, refuses an association or a file, or stops in the middle."""
