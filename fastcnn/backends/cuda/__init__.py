"""The GPU backend: `operations` has what `fastcnn.ops` calls for arrays on the GPU, by the same names.

An operation checks its arrays, `DeviceArray`s, and shapes, then launches kernels of `kernels`, which are written in
Numba CUDA and compiled when they are first needed. Sums go in an order that the shapes fix, so results are the same
bits each time; they differ from the CPU's by rounding. Denormal numbers are kept.
"""
