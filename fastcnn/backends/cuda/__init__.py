"""The GPU backend: kernels in Numba CUDA, arrays in the memory of an NVIDIA GPU."""
