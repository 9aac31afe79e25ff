"""The GPU itself, through NVIDIA's driver: memory, copies, launches, and launches recorded to be repeated at once.

All work goes through one stream, so it is done in the order in which it was asked for.
"""

import ctypes
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import local
from types import ModuleType
from typing import Any
from weakref import finalize

import numpy as np

from fastcnn.backends.cuda import language
from fastcnn.backends.cuda.ahead import compile_all
from fastcnn.backends.cuda.compiler import INSTALL, OLDEST, machine_code
from fastcnn.backends.cuda.language import Kernel, Pointer
from fastcnn.backends.cuda.memory import Block, Borrowed, Pool
from fastcnn.errors import CudaError

SCALARS = {
    language.float32: ctypes.c_float,
    language.float64: ctypes.c_double,
    language.int32: ctypes.c_int32,
    language.uint32: ctypes.c_uint32,
    language.uint64: ctypes.c_uint64,
}
DLPACK_CUDA = 2
LOST = "what the GPU computed since the last copy from it is lost"
INSTEAD = "train on the CPU (--device cpu)"


class NvidiaDevice:
    """The first GPU that CUDA shows; ``CUDA_VISIBLE_DEVICES`` says which that is.

    Args:
        driver: NVIDIA's driver as ``cuda.bindings.driver`` has it; that itself if not given.

    Attributes:
        name: What the GPU is called.
        architecture: Its kind, such as "sm_90".

    Raises:
        CudaError: if there is no GPU, or what talks to it is not installed; says which.
    """

    def __init__(self, driver: ModuleType | None = None) -> None:
        self._loaded: Any = driver or _driver()
        try:
            self._start("cuInit", 0)
        except RuntimeError as error:  # of bindings that find no driver
            if isinstance(error, CudaError):
                raise
            raise CudaError(f"no GPU can be used: NVIDIA's driver is not installed; {INSTEAD}") from error
        if self._start("cuDeviceGetCount") == 0:
            raise CudaError(f"no GPU can be used: CUDA shows none on this machine; {INSTEAD}")
        number = self._start("cuDeviceGet", 0)
        self.name = self._start("cuDeviceGetName", 256, number).split(b"\0")[0].decode()
        self.place = (DLPACK_CUDA, 0)
        kinds = self._loaded.CUdevice_attribute
        major, minor = (
            self._start("cuDeviceGetAttribute", kind, number)
            for kind in (
                kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        if (major, minor) < OLDEST:
            needed = ".".join(map(str, OLDEST))
            raise CudaError(
                f"no GPU can be used: {self.name} has compute capability {major}.{minor}, {needed} is needed; {INSTEAD}"
            )
        self.architecture = f"sm_{major}{minor}"
        self._context = self._start("cuDevicePrimaryCtxRetain", number)
        self._start("cuCtxSetCurrent", self._context)
        self._thread = local()
        self._thread.has_context = True
        nonblocking = self._loaded.CUstream_flags.CU_STREAM_NON_BLOCKING
        self._stream = self._start("cuStreamCreate", nonblocking)
        self._pool = Pool(self._make, self._release)
        self._recording = False
        self._functions: dict[Kernel, Any] = {}
        self._modules: list[Any] = []

    def _start(self, name: str, *arguments: Any) -> Any:
        """Call the driver before anything is computed."""
        mend = f"look whether nvidia-smi shows the GPU, or {INSTEAD}"
        return self._checked(self._loaded, "no GPU can be used", name, arguments, mend)

    @property
    def _driver(self) -> Any:
        """The driver, which wants to be told in each thread what GPU is meant."""
        if not hasattr(self._thread, "has_context"):
            self._checked(self._loaded, "the GPU can't be used in this thread", "cuCtxSetCurrent", (self._context,))
            self._thread.has_context = True
        return self._loaded

    def _call(self, what: str, name: str, *arguments: Any, mend: str = LOST) -> Any:
        """Call the driver; what it gives, or a CudaError that begins with `what`."""
        return self._checked(self._driver, what, name, arguments, mend)

    @staticmethod
    def _checked(driver: Any, what: str, name: str, arguments: tuple[Any, ...], mend: str = LOST) -> Any:
        status, *values = getattr(driver, name)(*arguments)
        if int(status):
            raise CudaError(f"{what}: {name} says {status.name}; {mend}")
        return values[0] if values else None

    # ---- memory ------------------------------------------------------------------------------------------------------

    def allocate(self, size: int) -> Block:
        """See `fastcnn.backends.cuda.device.Device`, here and below."""
        return self._pool.take(size)

    def _make(self, size: int) -> int:
        out_of_memory = self._driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY
        status, memory = self._driver.cuMemAlloc(size)
        if status == out_of_memory and self._pool.trim():
            status, memory = self._driver.cuMemAlloc(size)
        if status == out_of_memory:
            raise CudaError(f"the GPU {self.name} has no {size / 2**20:,.0f} MiB left; use a smaller batch or model")
        if int(status):
            raise CudaError(f"no memory of the GPU could be had: cuMemAlloc says {status.name}; {LOST}")
        return int(memory)

    def _release(self, memory: int) -> None:
        self._driver.cuMemFree(memory)  # fails only where the GPU is lost, which whoever waits for it is told

    def borrow(self, address: int, size: int, owner: Any) -> Borrowed:
        return Borrowed(address, owner)

    def address(self, memory: Block | Borrowed) -> int:
        return int(memory.memory)

    def finish(self, stream: int | None = None) -> None:
        self._not_recording()
        self._call("the GPU failed", "cuStreamSynchronize", self._stream if stream is None else stream)

    def at(self, memory: Block | Borrowed, start: int, dtype: np.dtype[Any], size: int) -> int:
        return int(memory.memory) + start

    def write(self, memory: Block | Borrowed, start: int, values: np.ndarray[Any, Any]) -> None:
        self._not_recording()
        place = memory.memory + start
        what = "a copy to the GPU failed"
        self._call(what, "cuMemcpyHtoDAsync", place, values.ctypes.data, values.nbytes, self._stream)
        self._call(what, "cuStreamSynchronize", self._stream)  # until then the host may not change the values

    def read(self, memory: Block | Borrowed, start: int, into: np.ndarray[Any, Any]) -> None:
        self._not_recording()
        place = memory.memory + start
        what = "a copy from the GPU failed"
        self._call(what, "cuMemcpyDtoHAsync", into.ctypes.data, place, into.nbytes, self._stream)
        self._call(what, "cuStreamSynchronize", self._stream)

    def copy(self, source: Block | Borrowed, start: int, target: Block | Borrowed, to: int, size: int) -> None:
        places = (target.memory + to, source.memory + start)
        self._call("a copy on the GPU failed", "cuMemcpyDtoDAsync", *places, size, self._stream)

    # ---- launches ----------------------------------------------------------------------------------------------------

    def launch(self, kernel: Kernel, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any]) -> None:
        if kernel not in self._functions:
            self._functions[kernel] = self._load(kernel)
        types = [ctypes.c_void_p if isinstance(one, Pointer) else SCALARS[one] for one in kernel.arguments]
        sizes = [(*sizes, 1, 1)[:3] for sizes in (grid, block)]
        self._call(
            f"{kernel.name} could not be run",
            "cuLaunchKernel",
            self._functions[kernel],
            *sizes[0],
            *sizes[1],
            0,
            self._stream,
            (tuple(arguments), tuple(types)),
            0,
        )

    def prepare(self, kernels: Iterable[Kernel], told: Callable[[int, int], None], processes: int) -> None:
        missing = [kernel for kernel in kernels if kernel not in self._functions]
        compile_all(missing, self.architecture, told, processes)

    def _load(self, kernel: Kernel) -> Any:
        binary = machine_code(kernel, self.architecture)
        what, mend = f"{kernel.name} could not be loaded", "is the driver new enough for CUDA 13?"
        module = self._call(what, "cuModuleLoadData", binary.code, mend=mend)
        self._modules.append(module)
        return self._call(what, "cuModuleGetFunction", module, binary.entry.encode(), mend=mend)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what `work` launches, without doing it; the result does it all by one call to the driver."""
        what = "the step could not be recorded"
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        memory = Pool(self._make, self._release)  # of its own: nobody else may get what the graph uses
        self.finish()
        self._pool.trim()  # the step that was taken before needed as much
        with _without_garbage_collection(), self._recording_with(memory):
            self._call(what, "cuStreamBeginCapture", self._stream, mode)
            try:
                work()
            except BaseException:
                status, graph = self._driver.cuStreamEndCapture(self._stream)  # may fail, too: the first error counts
                if not int(status):
                    self._driver.cuGraphDestroy(graph)
                raise
            graph = self._call(what, "cuStreamEndCapture", self._stream)
        executable = self._call(what, "cuGraphInstantiate", graph, 0)
        self._call(what, "cuGraphDestroy", graph)

        def repeat() -> None:
            self._call("the recorded step failed", "cuGraphLaunch", executable, self._stream)

        finalize(repeat, self._forget, executable, memory).atexit = False
        return repeat

    def seconds(self, work: Callable[[], None]) -> float:
        """How long the GPU takes for what `work` launches, by its own clock."""
        what = "the GPU could not take the time"
        first, last = (self._call(what, "cuEventCreate", 0) for _ in range(2))
        self._call(what, "cuEventRecord", first, self._stream)
        work()
        self._call(what, "cuEventRecord", last, self._stream)
        self._call(what, "cuEventSynchronize", last)
        milliseconds = self._call(what, "cuEventElapsedTime", first, last)
        for event in (first, last):
            self._call(what, "cuEventDestroy", event)
        return 1e-3 * float(milliseconds)

    @contextmanager
    def _recording_with(self, memory: Pool) -> Iterator[None]:
        """For a while take memory from another pool, and exchange nothing with the host."""
        usual, self._pool = self._pool, memory
        self._recording = True
        try:
            yield
        finally:
            self._pool = usual
            self._recording = False

    def _not_recording(self) -> None:
        """Raise an error where a step is recorded: what the host or another library does would not be part of it."""
        if self._recording:
            raise CudaError(
                "a training step that is recorded can't wait for the host or another library, as a layer of your own "
                "may do; use Trainer(record=False)"
            )

    def _forget(self, executable: Any, memory: Pool) -> None:
        """Let a recorded step go that nobody can repeat any more; errors are those of the work before it."""
        self._driver.cuStreamSynchronize(self._stream)  # it may be under way
        self._driver.cuGraphExecDestroy(executable)
        memory.close()


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """While a step is recorded: another's record, given back in the midst of it, would spoil it."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _driver() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise CudaError(f"no GPU can be used: NVIDIA's bindings are missing ({error}); {INSTALL}") from error
    return driver
