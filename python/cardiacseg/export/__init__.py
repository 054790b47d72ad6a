"""From a trained model to a bundle: ONNX export, parity check, manifest and model card. Needs torch and onnx."""
