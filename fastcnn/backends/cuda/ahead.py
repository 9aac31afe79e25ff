"""Kernels compiled ahead, several at once: one after the other a network's two dozen take half a minute.

Compiling keeps Python busy, so it is done by processes that are told of a kernel and answer with its machine code. Only
the process that wants the code writes to the cache. What they can't compile is left to `machine_code`, which says why.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from fastcnn.backends.cuda.compiler import compiled, is_kept, keep
from fastcnn.backends.cuda.language import Kernel

Told = Callable[[int, int], None]  # how many kernels of how many are compiled

COMMAND = (sys.executable, "-c", "from fastcnn.backends.cuda.ahead import serve; serve()")


def compile_all(kernels: Iterable[Kernel], architecture: str, told: Told, processes: int) -> None:
    """Compile those kernels that aren't in the cache yet, so that `machine_code` finds them there.

    Args:
        kernels: Which.
        architecture: For what, such as "sm_90".
        told: Called at first and after each kernel, if there are any to compile. May raise, which ends all.
        processes: How many at once, at most.
    """
    missing = [kernel for kernel in dict.fromkeys(kernels) if not is_kept(kernel, architecture)]
    if not missing:
        return
    told(0, len(missing))
    count = min(len(missing), processes)
    with ThreadPoolExecutor(count) as threads, _compilers(count) as compilers:

        def compile_one(kernel: Kernel) -> tuple[Kernel, bytes | None]:
            process = compilers.get()
            code = _answer(process, kernel, architecture)
            compilers.put(process)
            return kernel, code

        for done, future in enumerate(as_completed([threads.submit(compile_one, one) for one in missing]), 1):
            kernel, code = future.result()
            if code is not None:
                keep(kernel, architecture, code)
            told(done, len(missing))


@contextmanager
def _compilers(count: int) -> Iterator[SimpleQueue[Any]]:
    """Processes that `serve`; they end with the block, whatever they are at. Ctrl-C is not for them."""
    pipe = subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
        )
        for _ in range(count)
    ]
    idle: SimpleQueue[Any] = SimpleQueue()
    for process in processes:
        idle.put(process)
    try:
        yield idle
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate()


def _answer(process: Any, kernel: Kernel, architecture: str) -> bytes | None:
    """The machine code of a kernel; None if there is none to be had."""
    try:
        pickle.dump(pickle.dumps((kernel, architecture)), process.stdin)  # twice, so that it can't be read in part
        process.stdin.flush()
        code: bytes | None = pickle.load(process.stdout)
    except (OSError, EOFError, ValueError, TypeError, AttributeError, pickle.PickleError):
        return None
    return code


def serve() -> None:
    """What the processes do: compile what comes in on stdin, till there is no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the compiler prints is no answer
    while True:
        try:
            question = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            code = compiled(*pickle.loads(question))
        except Exception:
            code = None
        pickle.dump(code, answers)
        answers.flush()
