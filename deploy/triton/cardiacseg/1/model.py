"""The whole pipeline of cardiacseg as a model of Triton's Python backend; docs/embed.md describes its tensors.

Research use only, not a medical device.
"""

import dataclasses
import json
import warnings

import numpy as np
import triton_python_backend_utils as triton

import cardiacseg
from cardiacseg.errors import CancelledError, InputWarning, InvalidInputError


class TritonPythonModel:
    """One segmenter for each instance. A request is a cine; requests of a batch run one after another."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the bundle that config.pbtxt names, on the CPU or on the GPU of this instance."""
        _require_whole_arrays()
        parameters = json.loads(args["model_config"])["parameters"]
        model, precision, threads = (parameters[key]["string_value"] for key in ("model", "precision", "threads"))
        device = f"cuda:{args['model_instance_device_id']}" if args["model_instance_kind"] == "GPU" else "cpu"
        self._segmenter = cardiacseg.CardiacSegmenter(model, device, threads=int(threads), precision=precision)

    def execute(self, requests: list) -> list:
        """One response for each request; a request that cannot be served gets an error of its own."""
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        try:
            return triton.InferenceResponse(self._outputs(request))
        except InvalidInputError as error:
            code, sentence = triton.TritonError.INVALID_ARG, str(error)
        except CancelledError as error:
            code, sentence = triton.TritonError.CANCELLED, str(error)
        except cardiacseg.Error as error:
            code, sentence = triton.TritonError.INTERNAL, str(error)
        return triton.InferenceResponse(error=triton.TritonError(sentence, code))

    def _outputs(self, request) -> list:
        image, spacing = (triton.get_input_tensor_by_name(request, name).as_numpy() for name in ("image", "spacing"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # the output "warnings" has them
            result = self._segmenter.run(
                image, spacing=tuple(spacing), progress=lambda done, frames: not request.is_cancelled()
            )
        outputs = {name: getattr(result, name) for name in ("labels", "presence", "agreement", "quality")}
        outputs["warnings"] = _text(*map(str, result.warnings))
        outputs["report"] = _text(json.dumps(dataclasses.asdict(result.report)))
        if "measurements" in request.requested_output_names():
            measured = cardiacseg.measure(result.labels, spacing=tuple(spacing))
            outputs["measurements"] = _text(json.dumps(measured.to_dict()))
        return [triton.Tensor(name, array) for name, array in outputs.items()]


def _text(*lines: str) -> np.ndarray:
    return np.array([line.encode() for line in lines], dtype=object)


def _require_whole_arrays() -> None:
    """Stop if this Triton was built for NumPy 1 and NumPy 2 is installed, because arrays would get wrong values."""
    numbers = np.arange(3.0)
    copied = triton.Tensor.from_dlpack("numbers", triton.Tensor("numbers", numbers).to_dlpack())
    if not np.array_equal(copied.as_numpy(), numbers):
        raise triton.TritonModelException(
            f"this Triton cannot exchange arrays with NumPy {np.__version__}: install numpy<2 in its Python"
        )
