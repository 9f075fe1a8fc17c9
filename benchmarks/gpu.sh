#!/bin/sh
# The full model on one GPU, all figures in one file, in less than eight minutes on an H200:
#   benchmarks/gpu.sh --json gpu.json
#   benchmarks/gpu.sh --preset tiny --device cpu --json gpu.json    # the whole script, in a minute
root=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="$root:$root/gate${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" "$root/benchmarks/gpu.py" "$@"
