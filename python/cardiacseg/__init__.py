"""Segmentation of the right ventricle, the myocardium and the left ventricle in short-axis cardiac cine MRI.

    import cardiacseg
    segmenter = cardiacseg.CardiacSegmenter()
    result = segmenter.run(image, spacing=(8.0, 1.4, 1.4))

Research use only, not a medical device.
"""

from cardiacseg.errors import (
    BackendError,
    BundleError,
    BundleNotFoundError,
    CancelledError,
    Error,
    InputWarning,
    InvalidInputError,
    OutputError,
)

__all__ = [
    "BackendError",
    "BundleError",
    "BundleNotFoundError",
    "CancelledError",
    "CardiacSegmenter",
    "Error",
    "InputWarning",
    "InvalidInputError",
    "MeasurementOptions",
    "Measurements",
    "OutputError",
    "Parity",
    "Report",
    "Result",
    "__version__",
    "explain_device",
    "list_backends",
    "measure",
]

try:
    from cardiacseg._core import __version__
    from cardiacseg.measurements import MeasurementOptions, Measurements, measure
    from cardiacseg.segmenter import CardiacSegmenter, Parity, Report, Result, explain_device, list_backends
except ModuleNotFoundError as error:
    # Models and training work in a checkout without a built core; everything else raises this error when it is used.
    if error.name != "cardiacseg._core":
        raise

    def __getattr__(name: str) -> object:
        if name in __all__:
            raise ImportError(
                f"cardiacseg.{name} needs the compiled core, which is not built here: run `pip install .` in the "
                "folder of cardiacseg's sources",
                name="cardiacseg._core",
            )
        raise AttributeError(f"module 'cardiacseg' has no attribute {name!r}")
