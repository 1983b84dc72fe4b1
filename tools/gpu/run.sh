#!/usr/bin/env bash
# Runs what `pack.sh` packed on the GPU of this machine: devices, tests, ceilings, and the search beside PyTorch where `python3` has it.
#
#     run.sh [--software] [RESULTS [argument of peers/run.py retrieval-gpu ...]]
#
# RESULTS is a folder, `results` beside this script unless named. `--software` takes a program that plays a GPU, without peers: a trial.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
device=()
if [ "${1:-}" = --software ]; then device=(--software); shift; fi
mkdir -p "${1:-$here/results}"
results=$(cd "${1:-$here/results}" && pwd)
shift $(($# > 0))
cd "$here"
# The commit it was packed from; empty if the source was changed.
export AOI_BENCH_COMMIT=$(cat commit)
export LD_LIBRARY_PATH=$here${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# NVIDIA's containers bring the driver's library, but not always the file that tells the loader of it.
if [ -z "${VK_DRIVER_FILES:-}" ] && ! ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1; then
    library=$(ldconfig -p | awk '/libGLX_nvidia.so.0/ { print $NF; exit }')
    [ -n "$library" ] || { echo "no Vulkan driver: neither an ICD file nor libGLX_nvidia.so.0; name one in VK_DRIVER_FILES" >&2; exit 1; }
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' "$library" > icd.json
    export VK_DRIVER_FILES=$here/icd.json
fi

# The tests look for their fixtures where they were built.
home=$(cat data/home)
if [ ! -e "$home/mixing" ]; then
    mkdir -p "$home"
    cp -r data/mixing "$home/"
fi

./aoi devices | tee "$results/devices.txt"
./aoi_retrieval --include-ignored gpu 2>&1 | tee "$results/tests.txt"
./conformance_gpu --include-ignored 2>&1 | tee -a "$results/tests.txt"
./aoi-bench gpu-ceilings "${device[@]}" --cooperative --results "$results" || ./aoi-bench gpu-ceilings "${device[@]}" --results "$results"
# A trial needs no PyTorch, but numpy makes its inputs.
needed='import numpy, torch; assert torch.cuda.is_available()'
if [ -n "${device[*]}" ]; then needed='import numpy'; fi
if python3 -c "$needed" 2>/dev/null; then
    python3 peers/run.py retrieval-gpu --programs "$here" --interpreter "$(command -v python3)" --results "$results" --threads "$(nproc)" "${device[@]}" "$@"
else
    echo "python3 cannot \`$needed\`: the comparison is left out" >&2
fi
