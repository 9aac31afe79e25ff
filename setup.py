"""Builds the one extension module, fastcnn._core, from fastcnn/_core.pyx and csrc/.

pyproject.toml holds everything else. What cannot be said there: csrc/stamp.c is compiled once per instruction-set
level and element type, each time with its own flags.

Environment switches (for developers; none is needed for a normal build):
    FASTCNN_WERROR=1           warnings in csrc/ are errors
    FASTCNN_SANITIZE=LIST      compile and link with -fsanitize=LIST, e.g. address,undefined
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

WARNINGS = ["-Wall", "-Wextra", "-Wvla", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes"]
C_FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-ffp-contract=fast", "-fvisibility=hidden"]
AVX2 = ["-mavx2", "-mfma", "-mbmi", "-mbmi2"]  # cpu.c asks for exactly these features
AVX512 = [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "cd", "dq", "vl")), "-mprefer-vector-width=512"]
X86_LEVELS = {"baseline": [], "avx2": AVX2, "avx512": AVX512}
ELEMENT_TYPES = {"float32": [], "float64": [("FC_DOUBLE", "1")]}
COMMON_SOURCES = ["csrc/cpu.c", "csrc/parallel.c", "csrc/shape.c"]


class BuildCore(build_ext):
    """build_ext that compiles stamp.c once per level and element type and links all objects together."""

    def finalize_options(self):
        super().finalize_options()
        self.force = True  # the switches above change what is built, and file times do not tell

    def run(self):
        """Build, and leave a copy of the module beside _core.pyx.

        Python looks for modules in the current folder first. After `pip install .` a user who is still in the checkout
        would therefore get its fastcnn/, not the installed one: with the copy that works, and is the same code.
        """
        super().run()
        self.copy_extensions_to_source()

    def build_extension(self, ext):
        if self.compiler.compiler_type != "unix":
            sys.exit("fastcnn needs gcc or clang: its kernels use vector extensions; on Windows, build under WSL")
        sanitize = os.environ.get("FASTCNN_SANITIZE")
        flags = C_FLAGS + WARNINGS + (["-Werror"] if os.environ.get("FASTCNN_WERROR") == "1" else [])
        if sanitize:
            flags += [f"-fsanitize={sanitize}", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
            flags += ["-O1", "-g1"]  # with more, the unrolled kernels take minutes to compile
            ext.extra_link_args += [f"-fsanitize={sanitize}"]
        else:
            flags += ["-g0"]  # Python asks for -g: it would be four fifths of the wheel
        ext.extra_link_args += ["-pthread"]
        x86 = self.targets_x86()
        levels = X86_LEVELS if x86 else {"baseline": []}
        macros = [("FC_WITH_X86_LEVELS", "1")] if x86 else []
        objects = self.compile(COMMON_SOURCES, "common", macros, [*flags, "-pthread"])
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a compiler of its own
            stamps = [
                pool.submit(
                    self.compile,
                    ["csrc/stamp.c"],
                    f"{level}_{element}",
                    [*element_macros, ("FC_TABLE", f"fc_{level}_{element}")],
                    flags + level_flags,
                )
                for level, level_flags in levels.items()
                for element, element_macros in ELEMENT_TYPES.items()
            ]
            objects += [path for stamp in stamps for path in stamp.result()]
        ext.extra_objects += objects
        ext.define_macros += [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
        ext.extra_compile_args += [f"-fsanitize={sanitize}", "-g"] if sanitize else ["-g0"]
        super().build_extension(ext)

    def compile(self, sources, folder, macros, flags):
        return self.compiler.compile(
            sources,
            output_dir=os.path.join(self.build_temp, folder),
            macros=macros,
            include_dirs=["csrc"],
            extra_postargs=flags,
        )

    def targets_x86(self):
        """Whether the compiler makes code for x86-64 alone.

        The machine we build on doesn't tell: the compiler may be a cross compiler, or, on macOS, build for another
        machine by its flags, or for two at once (where it can't list its macros, and says so by failing).
        """
        command = [*self.compiler.compiler_so, "-dM", "-E", "-x", "c", os.devnull]
        macros = subprocess.run(command, capture_output=True, text=True).stdout
        return "__x86_64__" in macros and "__aarch64__" not in macros


setup(
    ext_modules=cythonize(
        [
            Extension(
                "fastcnn._core",
                ["fastcnn/_core.pyx"],
                include_dirs=["csrc", numpy.get_include()],
                depends=["fastcnn/_core.pxd", *sorted(str(path) for path in Path("csrc").iterdir())],
            )
        ],
        build_dir="build",
    ),
    cmdclass={"build_ext": BuildCore},
)
