"""Matrix products as NumPy computes them, by OpenBLAS; held to its threads by the environment."""

from collections.abc import Callable

import numpy as np

from peers.operation import Operation


def start(variant: str, threads: int) -> str:
    return f"NumPy {np.__version__}, {np.show_config(mode='dicts')['Build Dependencies']['blas']['name']}"


def work(variant: str, operation: Operation) -> Callable[[], np.ndarray] | None:
    """The product, or None: of other operations NumPy is no contestant."""
    if operation.kind != "matmul":
        return None
    a, b = (array.T if operation.sizes[name] == "t" else array for name, array in operation.arrays().items())
    return lambda: a @ b
