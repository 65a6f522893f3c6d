"""The operators that a SavedModel may consist of without being trusted: what image classifiers compute with.

A list of what is allowed, not of what is dangerous. What is listed computes on tensors, keeps variables, or calls
another function of the same graph, whose operators are looked at as well; nothing here opens a file, a connection, a
table or Python.
"""

from __future__ import annotations

_NETWORK = """
    Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput Conv3DBackpropInputV2 Conv3DBackpropInput Conv
    Dilation2D FusedPadConv2D FusedResizeAndPadConv2D
    MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum BiasAdd BiasAddV1
    FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 BatchNormWithGlobalNormalization LRN L2Loss
    AvgPool AvgPool3D MaxPool MaxPoolV2 MaxPool3D MaxPoolWithArgmax FractionalAvgPool FractionalMaxPool
    Relu Relu6 Elu Selu LeakyRelu Sigmoid Tanh Softplus Softsign Softmax LogSoftmax
    BlockLSTM BlockLSTMV2 LSTMBlockCell GRUBlockCell
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
    QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4
    QuantizeV2 Dequantize Requantize RequantizationRange UniformQuantize UniformDequantize
"""

_ARITHMETIC = """
    Abs AccumulateNV2 Acos Acosh Add AddN AddV2 Asin Asinh Atan Atan2 Atanh Ceil ClipByValue Complex ComplexAbs Conj Cos
    Cosh Cross Cumprod Cumsum CumulativeLogsumexp Digamma Div DivNoNan Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod
    Imag Inv Invert IsFinite IsInf IsNan Lgamma Log Log1p Maximum Minimum Mod Mul MulNoNan Ndtri Neg NextAfter Pow Real
    RealDiv Reciprocal Rint Round Rsqrt Sign Sin Sinh Sqrt Square SquaredDifference Sub Tan TruncateDiv TruncateMod
    Xdivy Xlog1py Xlogy BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift
    All Any ArgMax ArgMin Bincount DenseBincount EuclideanNorm InTopK InTopKV2 Max Mean Min NthElement Prod
    SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum Sum TopK TopKV2
    UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
    ApproximateEqual Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalNot LogicalOr NotEqual Select SelectV2
    FFT FFT2D IFFT IFFT2D IRFFT IRFFT2D RFFT RFFT2D
    ReluGrad Relu6Grad EluGrad SeluGrad LeakyReluGrad SigmoidGrad TanhGrad SoftplusGrad SoftsignGrad RsqrtGrad SqrtGrad
    ReciprocalGrad InvGrad BiasAddGrad SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits
"""
# The gradients are those of activations with gradients of their own (swish), which are saved along with them.

_SHAPES = """
    BatchToSpace BatchToSpaceND Bitcast BroadcastArgs BroadcastGradientArgs BroadcastTo Bucketize Cast Concat
    ConcatOffset ConcatV2 Const DepthToSpace Diag DiagPart DynamicPartition DynamicStitch EnsureShape ExpandDims
    ExtractImagePatches Fill Gather GatherNd GatherV2 GuaranteeConst Identity IdentityN InvertPermutation LinSpace
    ListDiff LowerBound MatrixBandPart MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2
    MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad NoOp OneHot OnesLike Pack Pad PadV2
    ParallelConcat ParallelDynamicStitch PreventGradient Range Rank Reshape Reverse ReverseSequence ReverseV2 Roll
    ScatterNd Shape ShapeN Size Slice SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze StopGradient
    StridedSlice TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate
    TensorStridedSliceUpdate Tile Transpose Unique UniqueV2 Unpack UnravelIndex UpperBound Where ZerosLike
    EmptyTensorList TensorListConcat TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather
    TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize
    TensorListScatter TensorListScatterV2 TensorListSetItem TensorListSplit TensorListStack
"""

_IMAGES = """
    AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation CombinedNonMaxSuppression CropAndResize ExtractGlimpse
    ExtractGlimpseV2 HSVToRGB ImageProjectiveTransformV2 ImageProjectiveTransformV3 NonMaxSuppression
    NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 RGBToHSV ResizeArea ResizeBicubic
    ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
"""

_RANDOM = """
    RandomGamma RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip RngSkip
    StatelessMultinomial StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg
    StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformFullInt
    StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2
    StatelessSampleDistortedBoundingBox StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2
    TruncatedNormal
"""

_VARIABLES_AND_CALLS = """
    VarHandleOp ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp VarIsInitializedOp VariableShape
    ResourceGather ResourceGatherNd DestroyResourceOp DisableCopyOnRead Placeholder PlaceholderWithDefault
    StatefulPartitionedCall PartitionedCall If StatelessIf While StatelessWhile Case StatelessCase FakeParam Assert
    Enter Exit LoopCond Merge NextIteration Switch ControlTrigger
"""

OPERATORS = frozenset(" ".join((_NETWORK, _ARITHMETIC, _SHAPES, _IMAGES, _RANDOM, _VARIABLES_AND_CALLS)).split())

_SAVING = "SaveV2 RestoreV2 MergeV2Checkpoints ShardedFilename StringJoin RegexFullMatch StaticRegexFullMatch"
SAVER = frozenset(_SAVING.split())
"""What the function that TensorFlow adds for writing checkpoints consists of besides; nothing here calls it."""
