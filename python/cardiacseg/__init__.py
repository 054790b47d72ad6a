"""Segmentation of the right ventricle, the myocardium and the left ventricle in short-axis cardiac cine MRI.

    import cardiacseg
    segmenter = cardiacseg.CardiacSegmenter()
    result = segmenter.run(image, spacing=(8.0, 1.4, 1.4))

Research use only, not a medical device.
"""

import sys

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

if sys.platform == "win32":  # elsewhere the core's run path leads to OpenVINO's libraries
    import os as _os

    if _os.path.isdir(_libraries := _os.path.abspath(_os.path.join(__file__, "../../openvino/libs"))):
        _os.add_dll_directory(_libraries)


def _describe_missing_openvino() -> str | None:
    """Which OpenVINO was expected beside this package and which was found; ``None`` in a checkout."""
    import re
    from importlib import metadata
    from pathlib import Path

    try:
        requirements = "\n".join(metadata.requires("cardiacseg") or ())
    except metadata.PackageNotFoundError:
        return None
    expected = re.search(r"^openvino==([\w.]+)", requirements, re.MULTILINE)
    if expected is None:
        return None
    try:
        openvino = metadata.distribution("openvino")
        found = f"{openvino.version} in {Path(str(openvino.locate_file('')))}"
    except metadata.PackageNotFoundError:
        found = "none"
    return (
        f"cardiacseg loads the libraries of OpenVINO: expected openvino {expected[1]} in {Path(__file__).parents[1]}, "
        f"got {found}; run `pip install openvino=={expected[1]}`"
    )


try:
    from cardiacseg._core import __version__
    from cardiacseg.measurements import MeasurementOptions, Measurements, measure
    from cardiacseg.segmenter import CardiacSegmenter, Parity, Report, Result, explain_device, list_backends
except ImportError as error:
    if any(words in str(error) for words in ("libopenvino", "DLL load failed")):
        raise ImportError(_describe_missing_openvino() or str(error), name=error.name) from error
    # Models and training work in a checkout without a built core; everything else raises this error when it is used.
    if not isinstance(error, ModuleNotFoundError) or error.name != "cardiacseg._core":
        raise

    def __getattr__(name: str) -> object:
        if name in __all__:
            raise ImportError(
                f"cardiacseg.{name} needs the compiled core, which is not built here: run `pip install .` in the "
                "folder of cardiacseg's sources",
                name="cardiacseg._core",
            )
        raise AttributeError(f"module 'cardiacseg' has no attribute {name!r}")
