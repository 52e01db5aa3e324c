# SPDX-License-Identifier: Apache-2.0
"""Float networks as something to query and to differentiate: PyTorch, Keras, ONNX."""
