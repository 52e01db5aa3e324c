# SPDX-License-Identifier: Apache-2.0
"""The TFLite schema as data: enums, and every table's fields in slot order.

Source: `tensorflow/lite/schema/schema.fbs` of TensorFlow 2.19 (file identifier TFL3). A field is
written `name:type` with an optional `=default`; `[type]` is a vector, an enum's name stands for its
integer, a union's name takes two slots (`NAME_type` and `NAME`).
"""

from dataclasses import dataclass
from functools import cache

FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16

_ENUMS = {
    "TensorType": """FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128
        UINT64 RESOURCE VARIANT UINT32 UINT16 INT4 BFLOAT16""",
    "Padding": "SAME VALID",
    "ActivationFunctionType": "NONE RELU RELU_N1_TO_1 RELU6 TANH SIGN_BIT",
    "FullyConnectedOptionsWeightsFormat": "DEFAULT SHUFFLED4x16INT8",
    "MirrorPadMode": "REFLECT SYMMETRIC",
    "LSHProjectionType": "UNKNOWN SPARSE DENSE",
    "LSTMKernelType": "FULL BASIC",
    "CombinerType": "SUM MEAN SQRTN",
    "CustomOptionsFormat": "FLEXBUFFERS",
    "DimensionType": "DENSE SPARSE_CSR",
    "SparseIndexVector": "NONE Int32Vector Uint16Vector Uint8Vector",
    "QuantizationDetails": "NONE CustomQuantization BlockwiseQuantization",
    "BuiltinOperator": """ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE
        DEQUANTIZE EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
        LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
        RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM
        CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
        SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
        BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM
        CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT
        SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT
        SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND
        LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
        RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL
        REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE
        MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
        SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM
        CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND
        HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE
        ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
        GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
        UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
        STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
        STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
        STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
        STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
        STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
        STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER
        STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
        STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT
        STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR
        REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE""",
    "BuiltinOptions": """NONE Conv2DOptions DepthwiseConv2DOptions ConcatEmbeddingsOptions
        LSHProjectionOptions Pool2DOptions SVDFOptions RNNOptions FullyConnectedOptions SoftmaxOptions
        ConcatenationOptions AddOptions L2NormOptions LocalResponseNormalizationOptions LSTMOptions
        ResizeBilinearOptions CallOptions ReshapeOptions SkipGramOptions SpaceToDepthOptions
        EmbeddingLookupSparseOptions MulOptions PadOptions GatherOptions BatchToSpaceNDOptions
        SpaceToBatchNDOptions TransposeOptions ReducerOptions SubOptions DivOptions SqueezeOptions
        SequenceRNNOptions StridedSliceOptions ExpOptions TopKV2Options SplitOptions LogSoftmaxOptions
        CastOptions DequantizeOptions MaximumMinimumOptions ArgMaxOptions LessOptions NegOptions
        PadV2Options GreaterOptions GreaterEqualOptions LessEqualOptions SelectOptions SliceOptions
        TransposeConvOptions SparseToDenseOptions TileOptions ExpandDimsOptions EqualOptions
        NotEqualOptions ShapeOptions PowOptions ArgMinOptions FakeQuantOptions PackOptions
        LogicalOrOptions OneHotOptions LogicalAndOptions LogicalNotOptions UnpackOptions
        FloorDivOptions SquareOptions ZerosLikeOptions FillOptions BidirectionalSequenceLSTMOptions
        BidirectionalSequenceRNNOptions UnidirectionalSequenceLSTMOptions FloorModOptions RangeOptions
        ResizeNearestNeighborOptions LeakyReluOptions SquaredDifferenceOptions MirrorPadOptions
        AbsOptions SplitVOptions UniqueOptions ReverseV2Options AddNOptions GatherNdOptions CosOptions
        WhereOptions RankOptions ReverseSequenceOptions MatrixDiagOptions QuantizeOptions
        MatrixSetDiagOptions HardSwishOptions IfOptions WhileOptions DepthToSpaceOptions
        NonMaxSuppressionV4Options NonMaxSuppressionV5Options ScatterNdOptions SelectV2Options
        DensifyOptions SegmentSumOptions BatchMatMulOptions CumsumOptions CallOnceOptions
        BroadcastToOptions Rfft2dOptions Conv3DOptions HashtableOptions HashtableFindOptions
        HashtableImportOptions HashtableSizeOptions VarHandleOptions ReadVariableOptions
        AssignVariableOptions RandomOptions BucketizeOptions GeluOptions DynamicUpdateSliceOptions
        UnsortedSegmentProdOptions UnsortedSegmentMaxOptions UnsortedSegmentMinOptions
        UnsortedSegmentSumOptions ATan2Options SignOptions BitcastOptions BitwiseXorOptions
        RightShiftOptions""",
    "BuiltinOptions2": """NONE StablehloConcatenateOptions StablehloBroadcastInDimOptions
        StablehloSliceOptions StablehloConvolutionOptions StablehloCustomCallOptions
        StablehloReduceOptions StablehloScatterOptions StablehloCompareOptions
        StablehloDynamicSliceOptions StablehloPadOptions StablehloIotaOptions
        StablehloDotGeneralOptions StablehloReduceWindowOptions StablehloSortOptions
        StablehloWhileOptions StablehloGatherOptions StablehloTransposeOptions DilateOptions
        StablehloRngBitGeneratorOptions ReduceWindowOptions StableHLOCompositeOptions
        StablehloShiftLeftOptions StablehloCaseOptions""",
}

ENUMS = {name: tuple(members.split()) for name, members in _ENUMS.items()}
UNIONS = ("BuiltinOptions", "BuiltinOptions2", "QuantizationDetails", "SparseIndexVector")
_WIDE_ENUMS = {"BuiltinOperator": "int32"}
_FUSED = "fused_activation_function:ActivationFunctionType"
_STRIDES = "stride_w:int32 stride_h:int32"
_DILATIONS = "dilation_w_factor:int32=1 dilation_h_factor:int32=1"

_TABLES = {
    "Model": """version:uint32 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string
        buffers:[Buffer] metadata_buffer:[int32] metadata:[Metadata] signature_defs:[SignatureDef]""",
    "OperatorCode": """deprecated_builtin_code:int8 custom_code:string version:int32=1
        builtin_code:BuiltinOperator""",
    "SubGraph": """tensors:[Tensor] inputs:[int32] outputs:[int32] operators:[Operator] name:string
        debug_metadata_index:int32=-1""",
    "Tensor": """shape:[int32] type:TensorType buffer:uint32 name:string quantization:QuantizationParameters
        is_variable:bool sparsity:SparsityParameters shape_signature:[int32] has_rank:bool
        variant_tensors:[VariantSubType]""",
    "QuantizationParameters": """min:[float32] max:[float32] scale:[float32] zero_point:[int64]
        details:QuantizationDetails quantized_dimension:int32""",
    "CustomQuantization": "custom:[uint8]",
    "BlockwiseQuantization": "scales:int32 zero_points:int32 block_size:int32",
    "SparsityParameters": "traversal_order:[int32] block_map:[int32] dim_metadata:[DimensionMetadata]",
    "DimensionMetadata": """format:DimensionType dense_size:int32 array_segments:SparseIndexVector
        array_indices:SparseIndexVector""",
    "Int32Vector": "values:[int32]",
    "Uint16Vector": "values:[uint16]",
    "Uint8Vector": "values:[uint8]",
    "VariantSubType": "shape:[int32] type:TensorType has_rank:bool",
    "Buffer": "data:[uint8] offset:uint64 size:uint64",
    "Metadata": "name:string buffer:uint32",
    "TensorMap": "name:string tensor_index:uint32",
    "SignatureDef": """inputs:[TensorMap] outputs:[TensorMap] signature_key:string deprecated_tag:string
        subgraph_index:uint32""",
    "Operator": """opcode_index:uint32 inputs:[int32] outputs:[int32] builtin_options:BuiltinOptions
        custom_options:[uint8] custom_options_format:CustomOptionsFormat mutating_variable_inputs:[bool]
        intermediates:[int32] large_custom_options_offset:uint64 large_custom_options_size:uint64
        builtin_options_2:BuiltinOptions2 debug_metadata_index:int32=-1""",
    "Conv2DOptions": f"padding:Padding {_STRIDES} {_FUSED} {_DILATIONS} quantized_bias_type:TensorType",
    "DepthwiseConv2DOptions": f"padding:Padding {_STRIDES} depth_multiplier:int32 {_FUSED} {_DILATIONS}",
    "Conv3DOptions": f"""padding:Padding stride_d:int32 {_STRIDES} {_FUSED} dilation_d_factor:int32=1
        {_DILATIONS}""",
    "TransposeConvOptions": f"padding:Padding {_STRIDES} {_FUSED} quantized_bias_type:TensorType",
    "Pool2DOptions": f"padding:Padding {_STRIDES} filter_width:int32 filter_height:int32 {_FUSED}",
    "FullyConnectedOptions": f"""{_FUSED} weights_format:FullyConnectedOptionsWeightsFormat keep_num_dims:bool
        asymmetric_quantize_inputs:bool quantized_bias_type:TensorType""",
    "AddOptions": f"{_FUSED} pot_scale_int16:bool=1",
    "SubOptions": f"{_FUSED} pot_scale_int16:bool=1",
    "MulOptions": _FUSED,
    "DivOptions": _FUSED,
    "L2NormOptions": _FUSED,
    "ConcatenationOptions": f"axis:int32 {_FUSED}",
    "SoftmaxOptions": "beta:float32",
    "LeakyReluOptions": "alpha:float32",
    "ReshapeOptions": "new_shape:[int32]",
    "SqueezeOptions": "squeeze_dims:[int32]",
    "ReducerOptions": "keep_dims:bool",
    "PackOptions": "values_count:int32 axis:int32",
    "UnpackOptions": "num:int32 axis:int32",
    "SplitOptions": "num_splits:int32",
    "SplitVOptions": "num_splits:int32",
    "GatherOptions": "axis:int32 batch_dims:int32",
    "OneHotOptions": "axis:int32",
    "StridedSliceOptions": """begin_mask:int32 end_mask:int32 ellipsis_mask:int32 new_axis_mask:int32
        shrink_axis_mask:int32 offset:bool""",
    "ResizeBilinearOptions": """deprecated_new_height:int32 deprecated_new_width:int32 align_corners:bool
        half_pixel_centers:bool""",
    "ResizeNearestNeighborOptions": "align_corners:bool half_pixel_centers:bool",
    "SpaceToDepthOptions": "block_size:int32",
    "DepthToSpaceOptions": "block_size:int32",
    "MirrorPadOptions": "mode:MirrorPadMode",
    "CastOptions": "in_data_type:TensorType out_data_type:TensorType",
    "ArgMaxOptions": "output_type:TensorType",
    "ArgMinOptions": "output_type:TensorType",
    "ShapeOptions": "out_type:TensorType",
    "UniqueOptions": "idx_out_type:TensorType=2",
    "FakeQuantOptions": "min:float32 max:float32 num_bits:int32 narrow_range:bool",
    "LocalResponseNormalizationOptions": "radius:int32 bias:float32 alpha:float32 beta:float32",
    "BatchMatMulOptions": "adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool",
    "CumsumOptions": "exclusive:bool reverse:bool",
    "GeluOptions": "approximate:bool",
    "SVDFOptions": f"rank:int32 {_FUSED} asymmetric_quantize_inputs:bool",
    "RNNOptions": f"{_FUSED} asymmetric_quantize_inputs:bool",
    "SequenceRNNOptions": f"time_major:bool {_FUSED} asymmetric_quantize_inputs:bool",
    "LSTMOptions": f"""{_FUSED} cell_clip:float32 proj_clip:float32 kernel_type:LSTMKernelType
        asymmetric_quantize_inputs:bool""",
    "UnidirectionalSequenceLSTMOptions": f"""{_FUSED} cell_clip:float32 proj_clip:float32 time_major:bool
        asymmetric_quantize_inputs:bool diagonal_recurrent_tensors:bool""",
    "BidirectionalSequenceLSTMOptions": f"""{_FUSED} cell_clip:float32 proj_clip:float32 merge_outputs:bool
        time_major:bool=1 asymmetric_quantize_inputs:bool""",
    "BidirectionalSequenceRNNOptions": f"""time_major:bool {_FUSED} merge_outputs:bool
        asymmetric_quantize_inputs:bool""",
    "ConcatEmbeddingsOptions": """num_channels:int32 num_columns_per_channel:[int32]
        embedding_dim_per_channel:[int32]""",
    "LSHProjectionOptions": "type:LSHProjectionType",
    "SkipGramOptions": "ngram_size:int32 max_skip_size:int32 include_all_ngrams:bool",
    "EmbeddingLookupSparseOptions": "combiner:CombinerType",
    "SparseToDenseOptions": "validate_indices:bool",
    "ReverseSequenceOptions": "seq_dim:int32 batch_dim:int32",
    "CallOptions": "subgraph:uint32",
    "CallOnceOptions": "init_subgraph_index:int32",
    "IfOptions": "then_subgraph_index:int32 else_subgraph_index:int32",
    "WhileOptions": "cond_subgraph_index:int32 body_subgraph_index:int32",
    "HashtableOptions": "table_id:int32 key_dtype:TensorType value_dtype:TensorType",
    "VarHandleOptions": "container:string shared_name:string",
    "RandomOptions": "seed:int64 seed2:int64",
    "BucketizeOptions": "boundaries:[float32]",
}

# An operator's options table is its name in camel case (ABS -> AbsOptions) but for these.
_OPTIONS_OF = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "PADV2": "PadV2Options",
    "SPLIT_V": "SplitVOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
}


@dataclass(frozen=True)
class Field:
    """One field: `kind` is scalar, string, bytes, numbers, table, tables or union.

    `type` names the scalar, the table or the union; `enum` is set where a scalar is an enum.
    """

    name: str
    slot: int
    kind: str
    type: str
    default: int | float | bool | None = None
    enum: str | None = None


def _scalar(name: str, slot: int, type_name: str, default: str) -> Field:
    enum = type_name if type_name in ENUMS else None
    base = _WIDE_ENUMS.get(type_name, "int8") if enum else type_name
    value: int | float | bool = float(default) if base == "float32" else int(default)
    return Field(name, slot, "scalar", base, bool(value) if base == "bool" else value, enum)


def _fields(text: str) -> tuple[Field, ...]:
    fields: list[Field] = []
    for word in text.split():
        name, type_name = word.split(":")
        type_name, _, default = type_name.partition("=")
        slot = len(fields)
        if type_name in UNIONS:
            fields.append(Field(f"{name}_type", slot, "scalar", "uint8", 0, type_name))
            fields.append(Field(name, slot + 1, "union", type_name))
        elif type_name == "[uint8]":
            fields.append(Field(name, slot, "bytes", "uint8"))
        elif type_name.startswith("["):
            element = type_name[1:-1]
            fields.append(Field(name, slot, "tables" if element in _TABLES else "numbers", element))
        elif type_name == "string":
            fields.append(Field(name, slot, "string", "string"))
        elif type_name in _TABLES:
            fields.append(Field(name, slot, "table", type_name))
        else:
            fields.append(_scalar(name, slot, type_name, default or "0"))
    return tuple(fields)


TABLES: dict[str, tuple[Field, ...]] = {name: _fields(text) for name, text in _TABLES.items()}
# The options tables without a field.
TABLES.update({name: () for name in ENUMS["BuiltinOptions"][1:] if name not in TABLES})


@cache
def field(table: str, name: str) -> Field:
    """The field of a table by its schema name. Raises KeyError when there is none."""
    for candidate in TABLES[table]:
        if candidate.name == name:
            return candidate
    raise KeyError(f"{table}.{name}")


@cache
def options_table(operator: str) -> str | None:
    """The options table of a builtin operator, None where it has none (RELU, TANH, ...)."""
    name = _OPTIONS_OF.get(operator) or operator.title().replace("_", "") + "Options"
    return name if name in ENUMS["BuiltinOptions"] else None


def enum_value(enum: str, name: str) -> int:
    """The number of an enum's member. Raises ValueError when there is none."""
    return ENUMS[enum].index(name)
