"""Where a training step on the GPU spends its time: a row per kernel, beside what the GPU can do.

Each launch of one step is repeated where it stands in the step, REPEATS times by one CUDA graph, between two events.
Its arrays are in the GPU's cache then, as most are in a step.

  fp32        Multiplications and additions that the kernel's loops run through, two FLOP a pair, of the peak: what a
              kernel of nothing but such pairs, `multiply_add`, was measured to do. Weight gradients skip windows whose
              gradient is 0, so theirs is the most it can be.
  bandwidth   Of kernels that multiply little: each array once, those that an update reads and writes twice, of what a
              copy on the device was measured to move, read and written.
"""

import inspect
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastcnn.backends.cuda.arguments import launch
from fastcnn.backends.cuda.array import empty, to_device
from fastcnn.backends.cuda.device import use
from fastcnn.backends.cuda.kernels.conv_pool import Tiling
from fastcnn.backends.cuda.kernels.conv_pool_weight import Windows
from fastcnn.backends.cuda.language import Kernel, cuda, float32, kernel, pointer, uint32
from fastcnn.backends.cuda.nvidia import NvidiaDevice

REPEATS = 50
ROUNDS = 5  # a launch's time is the median of so many
UPDATED = ("data", "average", "velocity", "first", "second")  # arguments that updates read and write
THREADS, CHAINS = 256, 16


@kernel(threads=THREADS)
def multiply_add(real):
    """Nothing but y = y * a + b, in CHAINS chains a thread."""

    def body(y: pointer(real), a: real, b: real, rounds: uint32):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        chains = cuda.local.array(CHAINS, real)
        for k in range(CHAINS):
            chains[k] = y[i] + real(k)
        for _ in range(rounds):
            for k in range(CHAINS):
                chains[k] = chains[k] * a + b
        total = real(0)
        for k in range(CHAINS):
            total += chains[k]
        y[i] = total

    return body


class Array(NamedTuple):
    """An argument of a kernel, and how much is behind it."""

    argument: Any
    size: int
    itemsize: int

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize


class Launch(NamedTuple):
    """A launch that was timed."""

    kernel: Kernel
    arguments: list[Any]
    seconds: float


class Timed:
    """The GPU, which takes the time of each launch while it runs it.

    Attributes:
        launches: All of them.
    """

    def __init__(self, beneath: NvidiaDevice) -> None:
        self.beneath = beneath
        self.launches: list[Launch] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)

    def at(self, memory: Any, start: int, dtype: np.dtype, size: int) -> Array:
        return Array(self.beneath.at(memory, start, dtype, size), size, dtype.itemsize)

    def launch(self, kernel: Kernel, grid: Any, block: Any, arguments: list[Any]) -> None:
        taken = [one.argument if isinstance(one, Array) else one for one in arguments]

        def once() -> None:
            self.beneath.launch(kernel, grid, block, taken)

        once()
        self.launches.append(Launch(kernel, arguments, seconds_of(self.beneath, once)))


def seconds_of(device: NvidiaDevice, work: Callable[[], None]) -> float:
    """What one of many repetitions takes, without the host's part in it; all kernels must have run before."""

    def repeated() -> None:
        for _ in range(REPEATS):
            work()

    many = device.record(repeated)
    many()
    return statistics.median(device.seconds(many) for _ in range(ROUNDS)) / REPEATS


def peak(device: NvidiaDevice, blocks: int = 4096, rounds: int = 4096) -> float:
    """FLOP a second in float32, by `multiply_add`."""
    y = to_device(np.zeros(blocks * THREADS, np.float32))

    def work() -> None:
        launch(multiply_add(float32), (blocks,), (THREADS,), y, 0.5, 0.5, rounds)

    work()
    return 2 * CHAINS * rounds * y.size / seconds_of(device, work)


def bandwidth(device: NvidiaDevice, size: int = 2**30) -> float:
    """Bytes a second that a copy on the device reads and writes."""
    source, target = empty((size,), np.uint8), empty((size,), np.uint8)

    def work() -> None:
        target[...] = source

    return 2 * size / seconds_of(device, work)


def sizes_of(kernel: Kernel) -> Tiling | Windows | None:
    """Those of the convolution, where a kernel is made for one."""
    make, constants = kernel.made_by
    named = inspect.signature(make).bind(*constants).arguments
    if "tiling" in named:
        return Tiling(*named["tiling"])
    return Windows(*named["sizes"]) if "sizes" in named else None


def name_of(kernel: Kernel) -> str:
    """What made it, with the sizes of a convolution: conv_pool 32x14x14-64."""
    name, sizes = kernel.made_by[0].__name__, sizes_of(kernel)
    return f"{name} {sizes.channels}x{sizes.height}x{sizes.width}-{sizes.outputs}" if sizes else name


def by_name(one: Launch) -> dict[str, Any]:
    """The arguments of a launch."""
    body = one.kernel.body
    return dict(zip(body.__code__.co_varnames[: body.__code__.co_argcount], one.arguments, strict=True))


def flop_of(one: Launch) -> int:
    """What the loops of a kernel multiply and add; 0 of those that are bound by memory."""
    given, (make, constants), sizes = by_name(one), one.kernel.made_by, sizes_of(one.kernel)
    if make.__name__ == "matmul":
        return 2 * given["rows"] * given["columns"] * given["depth"]
    if sizes is None:
        return 0
    window = 2 * sizes.channels * sizes.kernel**2  # of one number of the result, or of one gradient
    match make.__name__:
        case "conv_pool":
            return given["y"].size * sizes.side**2 * window
        case "conv_pool_backward_input":
            return given["dx"].size * window
        case _:  # a weight gradient: of a window all pixels are marked for the mean, else one
            return given["g"].size * (sizes.pool**2 if constants[-1] else 1) * window


def bytes_of(one: Launch) -> int:
    """What a kernel reads and writes, at least."""
    given = by_name(one)
    if one.kernel.made_by[0].__name__ == "fetch_images":  # of all images those of the batch
        return given["x"].size + given["x"].nbytes
    if one.kernel.made_by[0].__name__ == "fetch_targets":
        return 2 * given["y"].nbytes
    arrays = {array.argument: array for array in given.values() if isinstance(array, Array)}
    updates = one.kernel.body.__module__.endswith(".updates")
    again = [given[name].nbytes for name in UPDATED if updates and name in given]
    return sum(array.nbytes for array in arrays.values()) + sum(again)


def rows_of(launches: list[Launch], flops: float, bytes_a_second: float) -> list[dict[str, Any]]:
    """For each kernel how often a step launches it, its time in all, and how near to what bounds it."""
    kernels: dict[str, list[Launch]] = {}
    for one in launches:
        kernels.setdefault(name_of(one.kernel), []).append(one)
    whole = sum(one.seconds for one in launches)
    rows = []
    for name, ones in kernels.items():
        seconds, flop, moved = (sum(values) for values in zip(*map(_figures, ones), strict=True))
        bound, share = ("fp32", flop / flops) if flop else ("bandwidth", moved / bytes_a_second)
        row = {"kernel": name, "launches": len(ones), "microseconds": 1e6 * seconds, "of_step": seconds / whole}
        rows.append(row | {"flop": flop, "bytes": moved, "bound": bound, "of_bound": share / seconds})
    return rows


def _figures(one: Launch) -> tuple[float, int, int]:
    return one.seconds, flop_of(one), bytes_of(one)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people, and a last one for all."""
    lines = [f"  {'kernel':<42}launches        us  of step  of its bound"]
    for row in rows:
        lines.append(
            f"  {row['kernel']:<42}{row['launches']:8}{row['microseconds']:10.1f}{row['of_step']:9.1%}"
            f"{row['of_bound']:9.1%} {row['bound']}"
        )
    lines.append(f"  {'all':<42}{sum(r['launches'] for r in rows):8}{sum(r['microseconds'] for r in rows):10.1f}")
    return "\n".join(lines)


def timed(work: Callable[[], None], device: NvidiaDevice) -> list[Launch]:
    """All launches of some work; it must have run before."""
    with use(Timed(device)) as watching:
        work()
    return watching.launches
