"""The GPU backend: checks arrays and shapes, then launches the kernels of `kernels`, which are written in Numba CUDA.

Arguments are those of `fastcnn.ops`, which documents them; arrays are `DeviceArray`s. Kernels are compiled when they
are first needed. Sums go in an order that the shapes fix, so results are the same bits each time; they differ from the
CPU's by rounding. Denormal numbers are kept.
"""
