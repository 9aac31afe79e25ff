"""Kernels to machine code: Numba CUDA makes NVIDIA's intermediate form of them, NVIDIA's linker a GPU's code of that.

Needs no GPU. What was compiled once is kept in the folder `fastcnn.places.cache_dir` names, under a name that changes
with the kernel's constants, with any file that kernels are written in, and with the compiler's version. Later processes
then need not even import Numba.
"""

import hashlib
import re
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NamedTuple

from fastcnn.atomic import replacing
from fastcnn.backends.cuda import language
from fastcnn.backends.cuda.language import Kernel, Pointer
from fastcnn.errors import CudaError
from fastcnn.places import cache_dir

DIGEST = hashlib.sha256().digest_size
OLDEST = (8, 0)  # compute capability
INSTALL = 'install it with: pip install "fastcnn[cuda]"'


class Binary(NamedTuple):
    """Machine code, a cubin, and the name under which the kernel is to be found in it."""

    code: bytes
    entry: str


def machine_code(kernel: Kernel, architecture: str) -> Binary:
    """The kernel for an architecture such as "sm_90", from the cache or newly compiled.

    Raises:
        CudaError: if it isn't in the cache and the compiler isn't installed.
    """
    code = _kept(_place(kernel, architecture))
    if code is None:
        code = compiled(kernel, architecture)
        keep(kernel, architecture, code)
    entry = re.search(rb"\.text\.(\w+)", code)
    if entry is None:
        raise CudaError(f"the compiler of GPU kernels made no kernel of {kernel.name}; {INSTALL}")
    return Binary(code, entry[1].decode())


def is_kept(kernel: Kernel, architecture: str) -> bool:
    """Whether `machine_code` would find the kernel in the cache."""
    return _kept(_place(kernel, architecture)) is not None


def compiled(kernel: Kernel, architecture: str) -> bytes:
    """The kernel as a cubin, compiled now."""
    return linked(intermediate(kernel), architecture)


def intermediate(kernel: Kernel) -> bytes:
    """The kernel in NVIDIA's intermediate form, LTO-IR, for the oldest GPU supported: later ones take it, too."""
    try:
        from numba import cuda as numba_cuda
    except ImportError as error:
        raise CudaError(f"the compiler of GPU kernels, numba-cuda, is missing ({error}); {INSTALL}") from error
    words = _words()
    types = [words[one.element, "pointer"] if isinstance(one, Pointer) else words[one] for one in kernel.arguments]
    body = language.spoken(kernel.body, words, numba_cuda.jit(device=True, inline="always"))
    how = {"device": False, "abi": "numba", "cc": OLDEST, "output": "ltoir", "launch_bounds": kernel.threads}
    return bytes(numba_cuda.compile(body, tuple(types), **how)[0])


def linked(code: bytes, architecture: str) -> bytes:
    """Intermediate code as a cubin for an architecture."""
    try:
        from cuda.core import Linker, LinkerOptions, ObjectCode
    except ImportError as error:
        raise CudaError(f"the linker of GPU kernels, cuda-core, is missing ({error}); {INSTALL}") from error
    options = LinkerOptions(arch=architecture, link_time_optimization=True)
    return bytes(Linker(ObjectCode.from_ltoir(code), options=options).link("cubin").code)


def _words() -> dict[Any, Any]:
    """What words mean to Numba; (word, "pointer") is the type of a pointer to it."""
    import math

    import numba
    from numba import cuda as numba_cuda

    pointer = import_module("numba.core.types").CPointer
    words: dict[Any, Any] = {language.cuda: numba_cuda}
    for word in language.TYPES:
        words[word] = getattr(numba, word.name)
        words[word, "pointer"] = pointer(words[word])
    return words | {word: getattr(math, word.name) for word in language.FUNCTIONS}


@cache
def _sources() -> bytes:
    """A digest of all that decides what a kernel compiles to, but for its constants."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for file in sorted([*here.glob("kernels/*.py"), here / "language.py", here / "compiler.py"]):
        digest.update(file.read_bytes())
    for package in ("numba", "numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink"):
        try:
            digest.update(f"{package} {metadata.version(package)}".encode())
        except metadata.PackageNotFoundError:
            digest.update(f"{package} missing".encode())
    return digest.digest()


def _key(kernel: Kernel, architecture: str) -> str:
    name = f"{kernel.body.__module__} {kernel.name} {kernel.threads} {architecture}"
    return hashlib.sha256(_sources() + name.encode()).hexdigest()[:32]


def _place(kernel: Kernel, architecture: str) -> Path | None:
    """Where the code of a kernel is kept; None where there is no folder of caches."""
    folder = cache_dir()
    return folder / "cuda" / f"{_key(kernel, architecture)}.cubin" if folder else None


def _kept(path: Path | None) -> bytes | None:
    """What `keep` wrote there, if nobody has changed a byte of it since."""
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    code, digest = content[:-DIGEST], content[-DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def keep(kernel: Kernel, architecture: str, code: bytes) -> None:
    """Into the cache, with its digest; a folder that can't be written costs the next process some seconds."""
    path = _place(kernel, architecture)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(code + hashlib.sha256(code).digest())
    except OSError:
        return
