# SPDX-License-Identifier: Apache-2.0
"""Operator versions, which tell a run-time what a file needs of its kernels.

Source: `tensorflow/lite/tools/versioning/op_version.cc` of TensorFlow 2.19.
"""

from collections.abc import Sequence

from tinyguard.graph import Node, Tensor

# operator -> (version with int8 data, version with int16 data); 1 for every other operator.
_BY_DTYPE = {
    "CONV_2D": (3, 4),
    "DEPTHWISE_CONV_2D": (3, 5),
    "FULLY_CONNECTED": (4, 7),
    "TRANSPOSE_CONV": (2, 3),
    "ADD": (2, 3),
    "SUB": (2, 5),
    "MUL": (2, 4),
    "AVERAGE_POOL_2D": (2, 3),
    "MAX_POOL_2D": (2, 3),
    "MEAN": (2, 3),
    "REDUCE_MAX": (2, 3),
    "REDUCE_MIN": (2, 3),
    "SUM": (2, 1),
    "SOFTMAX": (2, 3),
    "LOGISTIC": (2, 3),
    "TANH": (2, 3),
    "RELU": (2, 3),
    "RELU6": (2, 3),
    "LEAKY_RELU": (1, 2),
    "PAD": (2, 3),
    "PADV2": (2, 3),
    "MIRROR_PAD": (2, 3),
    "CONCATENATION": (2, 3),
    "TRANSPOSE": (2, 5),
    "STRIDED_SLICE": (2, 1),
    "SLICE": (2, 4),
    "SPLIT": (2, 4),
    "MAXIMUM": (2, 4),
    "MINIMUM": (2, 4),
    "RESIZE_BILINEAR": (2, 4),
    "RESIZE_NEAREST_NEIGHBOR": (2, 4),
    "PACK": (2, 3),
    "UNPACK": (2, 4),
    "ABS": (2, 3),
    "DEQUANTIZE": (2, 3),
    "SPLIT_V": (2, 1),
    "ARG_MAX": (2, 1),
    "SPACE_TO_BATCH_ND": (2, 4),
    "BATCH_TO_SPACE_ND": (2, 4),
}
# Where the data is not the first input.
_DATA_INPUT = {"SPLIT": 1, "TRANSPOSE_CONV": 2}


def operator_version(node: Node, tensors: Sequence[Tensor]) -> int:
    """The lowest version whose kernels run the node as it stands."""
    data = tensors[node.inputs[_DATA_INPUT.get(node.operator, 0)]]
    int8, int16 = _BY_DTYPE.get(node.operator, (1, 1))
    version = {"int8": int8, "int16": int16}.get(data.dtype, 1)
    return max(version, _raised(node, tensors, data))


def _raised(node: Node, tensors: Sequence[Tensor], data: Tensor) -> int:
    """The version that the node's options, scales or ranks ask for."""
    options, rank = node.options, len(data.shape)
    present = [index for index in node.inputs if index >= 0]
    match node.operator:
        case "FULLY_CONNECTED":
            return 6 if len(node.inputs) == 2 else 5 if options.get("keep_num_dims") else 1
        case "TRANSPOSE_CONV":
            activation = options.get("fused_activation_function", "NONE")
            return 4 if activation != "NONE" else 3 if len(present) == 4 else 1
        case "MUL":
            return 3 if data.dtype == "int8" and _mul_rescale(node, tensors) >= 1 else 1
        case "RESIZE_BILINEAR":
            return 3 if options.get("half_pixel_centers") else 1
        case "RESIZE_NEAREST_NEIGHBOR":
            return 3 if options.get("half_pixel_centers") or options.get("align_corners") else 1
        case "STRIDED_SLICE":
            reshaped = options.get("ellipsis_mask") or options.get("new_axis_mask")
            return 8 if options.get("offset") else 6 if reshaped else 4 if rank > 4 else 1
        case "TRANSPOSE":
            return 6 if rank > 5 else 4 if rank > 4 else 1
        case "PAD" | "PADV2":
            return 4 if rank > 4 else 1
        case "SLICE":
            return 5 if rank > 4 else 1
        case "SUB" | "MAXIMUM" | "MINIMUM":
            return 3 if max(len(tensors[index].shape) for index in present) > 4 else 1
        case "QUANTIZE":
            return 2 if tensors[node.outputs[0]].dtype == "int16" else 1
    return 1


def _mul_rescale(node: Node, tensors: Sequence[Tensor]) -> float:
    scales = [tensors[index].quantization for index in (*node.inputs, node.outputs[0])]
    first, second, output = (quantization.scale if quantization else 0.0 for quantization in scales)
    return first * second / output if output else 0.0
