"""The GPU kernels, a file per subject, in the language of `fastcnn.backends.cuda.language`."""

# By the file of csrc/ that computes a layer on the CPU, the one here that does on the GPU; else they share a name.
FILES = {
    "avg_pool": "pooling",
    "conv_im2col": "im2col",
    "conv_tanh_pool": "elements",
    "copy": "joining",
    "linear": "gemm",
    "max_pool": "pooling",
    "pointwise": "elements",
    "softmax": "rows",
}
