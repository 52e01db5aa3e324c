"""Float networks as something to query and to differentiate: PyTorch, Keras, ONNX."""
