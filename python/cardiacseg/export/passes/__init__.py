"""Rewriting of ONNX graphs for TensorRT, one pass a file. Each changes the model that it is given."""
