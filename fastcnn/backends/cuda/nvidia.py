"""The GPU itself, through NVIDIA's cuda.core: memory, copies and launches on one stream."""

import ctypes
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastcnn.backends.cuda import language
from fastcnn.backends.cuda.compiler import INSTALL, machine_code
from fastcnn.backends.cuda.language import Kernel, Pointer
from fastcnn.errors import CudaError

SCALARS = {
    language.float32: ctypes.c_float,
    language.float64: ctypes.c_double,
    language.int32: ctypes.c_int32,
    language.uint32: ctypes.c_uint32,
    language.uint64: ctypes.c_uint64,
}


class NvidiaDevice:
    """The first GPU that CUDA shows; ``CUDA_VISIBLE_DEVICES`` says which that is.

    Raises:
        CudaError: if there is none, or what talks to it is not installed.
    """

    def __init__(self) -> None:
        try:
            import cuda.core as core
            from cuda.bindings import driver
        except ImportError as error:
            raise CudaError(f"the GPU backend needs cuda-core, which is missing ({error}); {INSTALL}") from error
        self._core, self._driver = core, driver
        with self._failures("no GPU can be used", "check that nvidia-smi shows one, or train on the CPU"):
            self._device = core.Device(0)
            self._device.set_current()
            self._stream = self._device.create_stream()
            self.architecture = f"sm_{self._device.arch}"
            self.name = str(self._device.name)
        self._loaded: dict[Kernel, Any] = {}

    @contextmanager
    def _failures(self, what: str, mend: str) -> Any:
        """Turn what CUDA raises into a CudaError."""
        try:
            yield
        except (RuntimeError, OSError, self._core_error()) as error:
            raise CudaError(f"{what}: {str(error).strip() or type(error).__name__}; {mend}") from error

    def _core_error(self) -> type[Exception]:
        from cuda.core._utils.cuda_utils import CUDAError

        return CUDAError

    def _checked(self, result: tuple[Any, ...], what: str) -> None:
        status = result[0]
        if status != self._driver.CUresult.CUDA_SUCCESS:
            raise CudaError(f"{what}: {status.name}; what was computed on the GPU since the last copy is lost")

    def allocate(self, size: int) -> Any:
        """See `fastcnn.backends.cuda.device.Device`, also for the rest."""
        with self._failures(f"{size / 2**20:,.0f} MiB could not be had from the GPU", "use a smaller batch"):
            return self._device.allocate(size, stream=self._stream)

    def at(self, memory: Any, start: int, dtype: np.dtype[Any], size: int) -> int:
        return int(memory.handle) + start

    def write(self, memory: Any, start: int, values: np.ndarray[Any, Any]) -> None:
        place, stream = int(memory.handle) + start, self._stream.handle
        copied = self._driver.cuMemcpyHtoDAsync(place, values.ctypes.data, values.nbytes, stream)
        self._checked(copied, "a copy to the GPU failed")
        self._stream.sync()  # until then the host may not change the values

    def read(self, memory: Any, start: int, into: np.ndarray[Any, Any]) -> None:
        place, stream = int(memory.handle) + start, self._stream.handle
        copied = self._driver.cuMemcpyDtoHAsync(into.ctypes.data, place, into.nbytes, stream)
        self._checked(copied, "a copy from the GPU failed")
        with self._failures("the GPU failed", "what it computed since the last copy is lost"):
            self._stream.sync()

    def copy(self, source: Any, start: int, target: Any, to: int, size: int) -> None:
        places = (int(target.handle) + to, int(source.handle) + start)
        copied = self._driver.cuMemcpyDtoDAsync(*places, size, self._stream.handle)
        self._checked(copied, "a copy on the GPU failed")

    def launch(self, kernel: Kernel, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any]) -> None:
        if kernel not in self._loaded:
            self._loaded[kernel] = self._load(kernel)
        values = [
            given if isinstance(declared, Pointer) else SCALARS[declared](given)
            for declared, given in zip(kernel.arguments, arguments, strict=True)
        ]
        config = self._core.LaunchConfig(grid=tuple(grid), block=tuple(block))
        with self._failures(f"{kernel.name} could not be run", "what the GPU computed since the last copy is lost"):
            self._core.launch(self._stream, config, self._loaded[kernel], *values)

    def _load(self, kernel: Kernel) -> Any:
        binary = machine_code(kernel, self.architecture)
        with self._failures(f"{kernel.name} could not be loaded", "is the driver new enough for CUDA 13?"):
            return self._core.ObjectCode.from_cubin(binary.code).get_kernel(binary.entry)
