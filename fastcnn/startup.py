"""Loading the C core, with OpenMP's threads told not to burn the CPU while they wait.

GCC's OpenMP lets waiting threads spin for milliseconds. On a machine that does something else too, they spin in the way
of the very threads they wait for, and training gets several times slower. A short spin bridges the gap between two
kernels just as well. The runtime reads the setting when it is loaded, so it is set around the import and taken back:
the environment of this process, and of those it starts, stays as it was.
"""

import os

SPIN_COUNT = "30000"  # iterations, less than a millisecond
SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # who sets either has decided for themselves


def load_core() -> None:
    """Import fastcnn._core.

    Raises:
        ImportError: if it was not built for this Python.
    """
    decided = any(name in os.environ for name in SETTINGS)
    if not decided:
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        import fastcnn._core  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "fastcnn._core":
            raise
        raise ImportError("fastcnn is not built for this Python; run `pip install .` in its source folder") from None
    finally:
        if not decided:
            del os.environ["GOMP_SPINCOUNT"]
