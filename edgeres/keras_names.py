"""The names that a model's configuration may use without being trusted: of both Keras, and of TensorFlow.

A list of what is allowed, not of what is dangerous: a class that Keras gets next year is refused until somebody has
looked at it and written it down here. What is listed computes on tensors from the values in its own configuration; it
runs no code that a file brings, opens no file and imports nothing.
"""

from __future__ import annotations

_LAYERS = """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D
    AdaptiveMaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
    BatchNormalization BatchNormalizationV1 BatchNormalizationV2 Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose
    ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose
    Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D
    Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D
    GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity InputLayer LSTM LSTMCell LayerNormalization
    LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D
    MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply
    Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomFourierFeatures
    RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom ReLU
    RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D
    SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract SyncBatchNormalization
    ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D
"""
FUNCTION_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
"""Layers of Keras 2 that call a function of TensorFlow; which one is looked at by itself."""

LAYERS = frozenset(_LAYERS.split()) | FUNCTION_LAYERS
MODELS = frozenset({"Model", "Sequential", "Functional"})

APPLICATIONS = frozenset({"LayerScale", "StochasticDepth", "CustomScaleLayer"})
"""Layers that modules of `keras.applications` define for themselves."""

_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal VarianceScaling
    Zeros
"""
_V2 = {f"{name}V2" for name in _INITIALIZERS.split()}  # what TensorFlow 2.0 and 2.1 wrote
INITIALIZERS = frozenset(_INITIALIZERS.split()) | _V2
REGULARIZERS = frozenset({"L1", "L2", "L1L2", "OrthogonalRegularizer"})
CONSTRAINTS = frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "RadialConstraint", "UnitNorm"})

_POLICIES = """
    AWQDTypePolicy DTypePolicy DTypePolicyMap FloatDTypePolicy GPTQDTypePolicy Int4DTypePolicy Policy
    QuantizedDTypePolicy QuantizedFloat8DTypePolicy
"""
POLICIES = frozenset(_POLICIES.split())

# How a model was compiled is not loaded, but Keras 3 builds it for a model inside a model.
_TRAINING = """
    Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam RMSprop SGD
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
    BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence LogCosh
    MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky
    AUC Accuracy BinaryAccuracy BinaryIoU CategoricalAccuracy ConcordanceCorrelation F1Score FBetaScore FalseNegatives
    FalsePositives IoU LogCoshError Mean MeanIoU OneHotIoU OneHotMeanIoU PearsonCorrelation Precision PrecisionAtRecall
    R2Score Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
    SparseTopKCategoricalAccuracy SpecificityAtSensitivity Sum TopKCategoricalAccuracy TrueNegatives TruePositives
"""
TRAINING = frozenset(_TRAINING.split())

_ACTIVATIONS = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
"""
ACTIVATIONS = frozenset(_ACTIVATIONS.split())

_BY_NAME = """
    constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform normal one ones
    orthogonal random_normal random_uniform truncated_normal uniform variance_scaling zero zeros
    l1 l2 l1_l2 l1l2 orthogonal_regularizer max_norm min_max_norm non_neg radial_constraint unit_norm
"""
STRINGS = {
    "activation": ACTIVATIONS | {"ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU"},
    "_initializer": frozenset(_BY_NAME.split()) | INITIALIZERS,
    "_regularizer": frozenset(_BY_NAME.split()) | REGULARIZERS,
    "_constraint": frozenset(_BY_NAME.split()) | CONSTRAINTS,
}
"""How a setting's name ends that Keras looks up by its value -> the values that it may have."""

_OPERATIONS = """
    Abs Absolute Add All Amax Amin Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin
    Argpartition Argsort Array ArraySplit Average Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot
    BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo Cbrt Ceil Clip Concatenate Conj Conjugate Copy Cos Cosh
    CountNonzero Cross Cumprod Cumsum Deg2rad Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan Dot Dsplit Dstack
    Einsum EmptyLike Equal Exp Exp2 ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Full
    FullLike GetItem Greater GreaterEqual Heaviside Histogram Hsplit Hstack Hypot Imag Inner IsIn Isclose Isfinite Isinf
    Isnan Less LessEqual Linspace Log Log10 Log1p Log2 Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor
    Logspace Matmul Max Maximum Mean Median Meshgrid Min Minimum Mod Moveaxis Multiply NanToNum Nanmax Nanmean Nanmin
    Nansum Ndim Negative Nonzero NotEqual OnesLike Outer Pad Percentile Power Prod Ptp Quantile Rad2deg Ravel Real
    Reciprocal Repeat Reshape Roll Rot90 Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Sort Split Sqrt
    Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace Transpose Tril Triu
    TrueDivide Trunc UnravelIndex Vander Var Vdot Vsplit Vstack Where ZerosLike AdaptiveAveragePool AdaptiveMaxPool
    AveragePool BatchNorm Celu Conv ConvTranspose DepthToSpace DepthwiseConv DotProductAttention Elu Fold Gelu Glu
    HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot
    Normalize OneHot Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign
    SpaceToDepth SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold AffineTransform CropImages
    ElasticTransform ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages PerspectiveTransform RGBToGrayscale
    RGBToHSV Resize ScaleAndTranslate SobelEdges Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Shape Slice
    SliceUpdate StopGradient Unstack Erf Erfinv Logsumexp Rsqrt TopK
"""
OPERATIONS = frozenset(_OPERATIONS.split())
"""Classes of `keras.ops`; not those that call a function, such as Map and Cond."""

_ARITHMETIC = """
    add subtract sub multiply mul truediv divide maximum minimum abs exp sqrt rsqrt square pow neg negative sigmoid tanh
    softplus relu relu6 silu swish gelu softmax log_softmax leaky_relu elu selu reduce_mean reduce_max reduce_sum
    reduce_min reduce_std reduce_variance clip_by_value concat reshape transpose squeeze expand_dims cast identity pad
    stack unstack split tile slice strided_slice getitem bias_add avg_pool avg_pool2d max_pool max_pool2d resize
    l2_normalize convert_to_tensor broadcast_to space_to_depth depth_to_space zeros_like ones_like matmul
"""
FUNCTIONS = frozenset(_ARITHMETIC.split())
"""Functions of TensorFlow that a Keras 2 graph may call: arithmetic on tensors."""

DATA = frozenset(
    {
        "__keras_tensor__",
        "__tensor__",
        "__numpy__",
        "__tuple__",
        "__ellipsis__",
        "__bytes__",
        "__slice__",
        "TensorShape",
    }
)
"""Values, not objects."""
