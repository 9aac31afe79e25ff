#!/bin/bash
# Runs the tests of GPU kernels on this machine's GPU under NVIDIA's compute-sanitizer, which looks for wrong addresses,
# races in shared memory, barriers that part of a block misses, and memory that is read before it was written. The first
# finding ends the run with an error; without a GPU it says so and ends with 2.
#
#     pip install "cuda-toolkit[sanitizer]==13.0.*"      # or that of an installed CUDA
#     tools/sanitize_gpu.sh [TOOL...]                    # memcheck racecheck synccheck initcheck, if none is named
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

"$python" - <<'END' || exit 2
import sys
import fastcnn as fc

if missing := fc.cuda.why_not():
    sys.exit(f"error: {missing}")
END
sanitizer=$(
    command -v compute-sanitizer || "$python" - <<'END'
import sys
from importlib import metadata

try:
    files = metadata.files("nvidia-cuda-sanitizer-api") or ()
except metadata.PackageNotFoundError:
    sys.exit('error: there is no compute-sanitizer; install it with: pip install "cuda-toolkit[sanitizer]==13.0.*"')
print(next(file.locate() for file in files if file.name == "compute-sanitizer"))
END
) || exit 2

[ $# -gt 0 ] || set -- memcheck racecheck synccheck initcheck
for tool in "$@"; do
    echo "==== $tool"
    "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 3 \
        "$python" -m pytest -q -x -p no:cacheprovider --timeout 3600 tests/cuda -k 'GPU and not thread and not memory_that'
done
