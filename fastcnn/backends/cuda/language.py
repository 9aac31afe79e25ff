"""The words that GPU kernels are written in.

A kernel is a Python function that one thread of the GPU runs; thousands run it at once, in blocks that share memory.
The words below stand for nothing by themselves: `spoken` gives a kernel whose words have the meaning that somebody
wants. To `fastcnn.backends.cuda.compiler` they mean Numba CUDA's, so that the function becomes machine code; to
tests/cuda/simt.py plain Python, so that it can be tested where there is no GPU.

A kernel is made by a function of constants, which are compiled into it:

    @kernel(threads=256)
    def scale(real, factor):
        def body(x: pointer(real), y: pointer(real), count: uint32):
            i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
            if i < count:
                y[i] = x[i] * real(factor)

        return body

    scale(float32, 3)          # a Kernel; the same object each time

Rules, so that the machine code is as short as the source (each seen in the code for sm_90):

* Every index is a ``uint32(...)``: Numba widens what it doesn't know to 64 bits, and wraps signed indices around. Never
  subtract below zero; what may be negative is an ``int32(...)``.
* Every literal that meets a real is a ``real(...)``: ``x * 0.5`` is a product in double precision.
* ``cuda.local.array`` of constant size, in loops of constant length, stays in registers.
* Functions that kernels share are marked `inline`.
"""

import inspect
from collections.abc import Callable
from functools import cache, lru_cache, wraps
from types import CellType, FunctionType
from typing import Any


class Word:
    """A name in kernels; what it means is for `spoken` to say."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.name}() means something inside GPU kernels only")

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:  # for pickle: the word of that name
        return self.name


cuda: Any = Word("cuda")  # threadIdx, blockIdx, blockDim, gridDim, shared.array, local.array, syncthreads, shuffles
float32, float64 = Word("float32"), Word("float64")
int8, int16, int32, int64 = Word("int8"), Word("int16"), Word("int32"), Word("int64")
uint8, uint16, uint32, uint64 = Word("uint8"), Word("uint16"), Word("uint32"), Word("uint64")
exp, log, sqrt, tanh = Word("exp"), Word("log"), Word("sqrt"), Word("tanh")
TYPES = (float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64)
FUNCTIONS = (exp, log, sqrt, tanh)


class Pointer:
    """The type of an argument: the first of many elements in the GPU's memory."""

    def __init__(self, element: Word) -> None:
        self.element = element


pointer = lru_cache(maxsize=None)(Pointer)


class Inline:
    """A function that kernels call; its code is put in the place of each call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Any = function

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.function.__name__}() means something inside GPU kernels only")


inline = Inline


def unrolled(count: int, step: Any) -> Any:
    """A function of four arguments that calls ``step(i, ...)`` for each i below `count`, each a copy of its own.

    For loops that the compiler would leave as they are, though only constants let their arrays stay in registers.
    """
    last = count - 1
    if last == 0:
        return Inline(lambda a, b, c, d: step(0, a, b, c, d))
    before = unrolled(last, step)

    def all_of_them(a: Any, b: Any, c: Any, d: Any) -> None:
        before(a, b, c, d)
        step(last, a, b, c, d)

    return Inline(all_of_them)


class Kernel:
    """A kernel with its constants.

    Attributes:
        name: For messages, profiles and the cache: what it was made by, and the constants.
        body: What a thread runs.
        threads: The most threads that a block of it may have; its registers are shared out accordingly.
        arguments: The types of its arguments, each a word or a `Pointer`.
        made_by: The function that gives this kernel, and the constants to call it with; so pickle keeps a kernel.
    """

    def __init__(self, name: str, body: FunctionType, threads: int, *made_by: Any) -> None:
        self.name = name
        self.body = body
        self.threads = threads
        self.made_by = made_by
        self.arguments = tuple(body.__annotations__.values())
        if len(self.arguments) != body.__code__.co_argcount:
            raise TypeError(f"{name}: each argument of a kernel needs a type")

    def __repr__(self) -> str:
        return f"Kernel({self.name})"

    def __reduce__(self) -> Any:
        return self.made_by


def kernel(threads: int | Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Kernel]]:
    """Turn a function that makes a body into one that makes a `Kernel`, once for each set of constants.

    Args:
        threads: Of a block, at most; or how to find that from the constants.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Kernel]:
        signature = inspect.signature(make)

        @wraps(make)
        @cache
        def made(*constants: Any, **named: Any) -> Kernel:
            bound = signature.bind(*constants, **named)
            bound.apply_defaults()
            words = ", ".join(f"{name}={value}" for name, value in bound.arguments.items())
            block = threads(*bound.args) if callable(threads) else threads
            return Kernel(f"{make.__name__}({words})", make(*bound.args), block, made, bound.args)

        return made

    return decorate


def spoken(function: FunctionType, meanings: dict[Any, Any], inlined: Callable[[FunctionType], Any]) -> FunctionType:
    """The function again, with each word in it replaced by what `meanings` says, and each `Inline` by `inlined` of it.

    Words are found among the globals and the closure's constants that the code names.
    """

    def meaning(value: Any) -> Any:
        if isinstance(value, Word):
            return meanings[value]
        if isinstance(value, Inline):
            if value not in meanings:
                meanings[value] = inlined(spoken(value.function, meanings, inlined))
            return meanings[value]
        return value

    names = {name: meaning(value) for name, value in function.__globals__.items() if name in function.__code__.co_names}
    cells = tuple(CellType(meaning(cell.cell_contents)) for cell in function.__closure__ or ())
    translated = FunctionType(
        function.__code__, {"__name__": function.__module__, **names}, function.__name__, None, cells
    )
    translated.__module__ = function.__module__
    return translated
