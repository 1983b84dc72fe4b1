#!/usr/bin/env bash
# Builds the tests, the command and the benches of the GPU search and puts them into a folder with all that a machine with a driver, and
# no compiler or network, needs.
#
#     tools/gpu/pack.sh OUT
set -euo pipefail
[ $# = 1 ] || { echo "usage: tools/gpu/pack.sh OUT" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

# Name and path of each test program that cargo would run, one a line.
programs() { "$@" --message-format json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and (message.get("profile") or {}).get("test"):
        print(message["target"]["name"], message["executable"])
'; }

programs cargo test --release --locked --no-run -p aoi-retrieval --features gpu --lib --test conformance_gpu | while read -r name path; do
    strip -o "$out/$name" "$path"
done
cargo build --release --locked -p aoi --features gpu
cargo build --release --locked -p aoi-bench --features gpu
for program in aoi aoi-bench; do
    strip -o "$out/$program" "${CARGO_TARGET_DIR:-target}/release/$program"
done
# The tests read their fixtures by the path of this checkout.
mkdir -p "$out/data"
cp -r aoi-retrieval/tests/data/mixing "$out/data/"
echo "$PWD/aoi-retrieval/tests/data" > "$out/data/home"
cp -r tools/peers "$out/"
if [ -z "$(git status --porcelain --untracked-files=no)" ]; then git rev-parse HEAD; fi > "$out/commit"
# The loader, which a machine with a bare driver may lack.
cp -L "$(ldconfig -p | awk '/libvulkan.so.1 .*x86-64/ { print $NF; exit }')" "$out/libvulkan.so.1"
cp tools/gpu/run.sh "$out/run.sh"
echo "$out: copy it and start run.sh"
