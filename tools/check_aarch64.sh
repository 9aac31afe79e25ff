#!/bin/bash
# Builds the module for AArch64 with a cross compiler and runs the tests of the operations there, under qemu-user.
#
#     tools/check_aarch64.sh PYTHON [PYTEST ARGUMENTS]
#
# Runs in the current folder, a checkout in which it leaves the built module; PYTHON is one that has Cython and pip. The
# Python that runs the tests is Debian's for arm64, unpacked in a temporary folder and never installed; its NumPy is the
# wheel for AArch64. That Python also runs setup.py, so the build takes the machine for what it is. The processor is a
# Cortex-A72, an ARMv8.0: instructions that some AArch64 machines lack would end the run. Prints SKIPPED and the reason
# where the tools can't be had. Speed under qemu says nothing about speed.
set -euo pipefail

python=$1
shift
skip() { printf 'SKIPPED: %s\n' "$1"; exit 0; }

have() { command -v "$1" > /dev/null; }
if ! { have aarch64-linux-gnu-gcc && have qemu-aarch64; } && [ "$(id -u)" = 0 ] && have apt-get; then
    { apt-get update -qq && apt-get install -qq -y gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user; } \
        > /dev/null 2>&1 || true
fi
for tool in apt-get dpkg-deb aarch64-linux-gnu-gcc qemu-aarch64; do
    have "$tool" || skip "there is no $tool, and it could not be installed"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A package database of its own, without any package: apt then fetches Python with all it needs.
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/root" "$work/site"
: > "$work/apt/status"
cat > "$work/apt.conf" << END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
Dir::State "$work/apt";
Dir::State::status "$work/apt/status";
Dir::Cache::archives "$work/apt/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
{ APT_CONFIG=$work/apt.conf apt-get update -qq &&
    APT_CONFIG=$work/apt.conf apt-get install -qq -y --download-only \
        python3-minimal libpython3-dev libpython3-stdlib libgomp1 libstdc++6; } > "$work/apt.log" 2>&1 ||
    skip "apt has no arm64 packages here: $(tail -1 "$work/apt.log")"
for package in "$work"/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$work/root"
done

export QEMU_LD_PREFIX=$work/root QEMU_CPU=cortex-a72
on_aarch64() { PYTHONPATH=$work/site qemu-aarch64 "$work/root/usr/bin/python3" "$@"; }
version=$(on_aarch64 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -m pip download --quiet --dest "$work/wheels" --only-binary=:all: --implementation cp \
    --python-version "$version" --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 numpy cython setuptools pytest pytest-timeout hypothesis > "$work/pip.log" 2>&1 ||
    skip "pip has no wheels for AArch64 here: $(tail -1 "$work/pip.log")"
for wheel in "$work"/wheels/*.whl; do
    "$python" -m zipfile --extract "$wheel" "$work/site"
done

# Cython's part is the same for all machines, and quicker here.
"$python" -c 'from Cython.Build import cythonize; cythonize("fastcnn/_core.pyx", build_dir="build", quiet=True)'
include=$work/root/usr/include
CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared" CFLAGS="-I$include -I$include/python$version" \
    FASTCNN_WERROR=1 on_aarch64 setup.py --quiet build_ext --inplace
on_aarch64 -c 'import fastcnn; fastcnn.show_config()'
on_aarch64 -m pytest -q -p no:cacheprovider --hypothesis-profile=quick "$@"
