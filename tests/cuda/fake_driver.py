"""NVIDIA's driver, as far as `fastcnn.backends.cuda.nvidia` calls it, over the memory of the host.

Kernels are launched on a `SimtDevice`; `compiled` puts the kernel itself into the place of its machine code. A test can
have any call fail: ``driver.failing["cuMemAlloc"] = driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY``.
"""

import ctypes
from enum import IntEnum
from typing import ClassVar

import numpy as np
from simt import TYPES, Integer, Memory, SimtDevice

from fastcnn.backends.cuda.compiler import Binary
from fastcnn.backends.cuda.language import Pointer


class CUresult(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_ILLEGAL_ADDRESS = 700
    CUDA_ERROR_LAUNCH_FAILED = 719


class CUdevice_attribute(IntEnum):
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


class CUstream_flags(IntEnum):
    CU_STREAM_NON_BLOCKING = 1


class CUstreamCaptureMode(IntEnum):
    CU_STREAM_CAPTURE_MODE_RELAXED = 2


KERNELS = []  # by the number that stands for their machine code


def compiled(kernel, architecture):
    """In the place of `compiler.machine_code`."""
    if kernel not in KERNELS:
        KERNELS.append(kernel)
    return Binary(KERNELS.index(kernel).to_bytes(4, "little"), "entry")


class FakeDriver:
    CUresult = CUresult
    CUdevice_attribute = CUdevice_attribute
    CUstream_flags = CUstream_flags
    CUstreamCaptureMode = CUstreamCaptureMode

    def __init__(self, devices=1, capability=(9, 0)):
        self.devices = devices
        self.capability = capability
        self.failing = {}
        self.memory = {}  # what was allocated, by address
        self.simt = SimtDevice()
        self.recorded = None
        self.calls = []

    def __getattr__(self, name):
        call = type(self).CALLS.get(name)
        if call is None:
            raise AttributeError(name)

        def checked(*arguments):
            self.calls.append(name)
            if name in self.failing:
                return (self.failing[name], None)
            return (CUresult.CUDA_SUCCESS, *call(self, *arguments))

        return checked

    def array(self, address, dtype):
        """The memory from this address to the end of its block."""
        start = max(first for first in self.memory if first <= address)
        rest = len(self.memory[start]) - (address - start)
        assert rest >= 0, "a pointer past its block"
        kind = np.dtype(dtype)
        return np.frombuffer(self.memory[start], kind, rest // kind.itemsize, address - start)

    def do(self, one):
        one() if self.recorded is None else self.recorded.append(one)
        return ()

    def allocate(self, size):
        block = ctypes.create_string_buffer(b"\xff" * size, size)
        self.memory[ctypes.addressof(block)] = block
        return (ctypes.addressof(block),)

    def launch(self, function, *sizes_and_more):
        *sizes, shared, stream, (values, types), extra = sizes_and_more
        assert (shared, stream, extra) == (0, "stream", 0) and len(sizes) == 6
        kernel = KERNELS[function]
        arguments = []
        for declared, value, kind in zip(kernel.arguments, values, types, strict=True):
            if isinstance(declared, Pointer):
                assert kind is ctypes.c_void_p
                meaning = TYPES[declared.element]
                element = meaning.dtype if isinstance(meaning, Integer) else meaning
                arguments.append(Memory(self.array(value, element)))
            else:
                arguments.append(kind(value).value)
        return self.do(lambda: self.simt.launch(kernel, sizes[:3], sizes[3:], arguments))

    def end(self, stream):
        recorded, self.recorded = self.recorded, None
        return (recorded,)

    def begin(self, stream, mode):
        self.recorded = []
        return ()

    CALLS: ClassVar = {
        "cuInit": lambda self, flags: (),
        "cuDeviceGetCount": lambda self: (self.devices,),
        "cuDeviceGet": lambda self, number: (number,),
        "cuDeviceGetName": lambda self, length, number: (b"Imagined GPU\0\0",),
        "cuDeviceGetAttribute": lambda self, kind, number: (self.capability["MINOR" in kind.name],),
        "cuDevicePrimaryCtxRetain": lambda self, number: ("context",),
        "cuCtxSetCurrent": lambda self, context: (),
        "cuStreamCreate": lambda self, flags: ("stream",),
        "cuStreamSynchronize": lambda self, stream: (),
        "cuMemAlloc": allocate,
        "cuMemFree": lambda self, address: (self.memory.pop(address), ())[1],
        "cuMemcpyHtoDAsync": lambda self, to, source, size, stream: self.do(lambda: ctypes.memmove(to, source, size)),
        "cuMemcpyDtoHAsync": lambda self, to, source, size, stream: self.do(lambda: ctypes.memmove(to, source, size)),
        "cuMemcpyDtoDAsync": lambda self, to, source, size, stream: self.do(lambda: ctypes.memmove(to, source, size)),
        "cuModuleLoadData": lambda self, code: (int.from_bytes(code, "little"),),
        "cuModuleGetFunction": lambda self, module, name: (module,),
        "cuLaunchKernel": launch,
        "cuStreamBeginCapture": begin,
        "cuStreamEndCapture": end,
        "cuGraphInstantiate": lambda self, graph, flags: (graph,),
        "cuGraphDestroy": lambda self, graph: (),
        "cuEventCreate": lambda self, flags: ("event",),
        "cuEventRecord": lambda self, event, stream: (),
        "cuEventSynchronize": lambda self, event: (),
        "cuEventElapsedTime": lambda self, first, last: (2.0,),
        "cuEventDestroy": lambda self, event: (),
        "cuGraphExecDestroy": lambda self, graph: (),
        "cuGraphLaunch": lambda self, graph, stream: ([one() for one in graph], ())[1],
    }
