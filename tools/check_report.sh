#!/usr/bin/env bash
# Opens report pages in headless Chromium and fails on a console message or a request to any network.
#
#   tools/check_report.sh FILE.html...     check these pages
#   tools/check_report.sh --self-test      check that bad pages are caught and a good one is not
#
# Needs chromium (or CHROMIUM=path) and python3; installs nothing. Exit 0 clean, 1 a page is not, 2 something is missing.
# No name resolves while a page is open, so that what it asks for is seen and goes nowhere.
set -euo pipefail

fail() { echo "check_report: $1" >&2; exit 2; }

browser=${CHROMIUM:-}
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$browser" ] || browser=$(command -v "$name" || true)
done
[ -n "$browser" ] && command -v "$browser" >/dev/null || fail "no Chromium found; install it or set CHROMIUM to its path"
for tool in python3 timeout realpath; do
    command -v "$tool" >/dev/null || fail "$tool not found"
done
[ $# -gt 0 ] || fail "give the page to check, or --self-test"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Prints what is wrong with page $1; nothing if it is clean.
problems() {
    local page log net shot profile url
    page=$(realpath "$1")
    log=$scratch/log net=$scratch/net.json shot=$scratch/page.png
    profile=$(mktemp -d "$scratch/profile.XXXXXX")
    rm -f "$log" "$net" "$shot"
    url=$(python3 -c 'import pathlib, sys; print(pathlib.Path(sys.argv[1]).as_uri())' "$page")
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --disable-default-apps \
        --host-resolver-rules="MAP * ~NOTFOUND" --user-data-dir="$profile" --window-size=1366,2000 \
        --virtual-time-budget=3000 --enable-logging=stderr --v=0 --log-net-log="$net" --net-log-capture-mode=Everything \
        --screenshot="$shot" "$url" >/dev/null 2>"$log" || echo "the browser failed: $(tail -n 1 "$log")"
    [ -s "$shot" ] || echo "the page was not drawn"
    grep -E 'CONSOLE[:(]' "$log" | sed 's/^[^"]*/console: /' || true
    python3 - "$net" <<'PYTHON'
import json, sys
try:
    with open(sys.argv[1]) as file:
        log = json.load(file)
except (OSError, ValueError) as error:
    sys.exit(print(f"the network log cannot be read: {error}"))
kinds = {number: name for name, number in log["constants"]["logEventTypes"].items()}
seen = set()
for event in log["events"]:
    params = event.get("params", {})
    url, initiator = params.get("url", ""), params.get("initiator", "")
    # The browser's own housekeeping has no origin; what a page starts has one, be it "null".
    if kinds[event["type"]] == "URL_REQUEST_START_JOB" and url and initiator != "not an origin":
        if not url.startswith(("data:", "file:", "chrome:", "devtools:")):
            seen.add(f"network: {url} (asked by {initiator or 'nobody named'})")
print("\n".join(sorted(seen)), end="\n" if seen else "")
PYTHON
}

if [ "$1" = --self-test ]; then
    head='<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>t</title>'
    echo "$head<p>good" >"$scratch/good.html"
    echo "$head<img src=\"http://report.invalid/a.png\" alt=\"\">" >"$scratch/image.html"
    echo "$head<style>p{background:url(https://report.invalid/b.png)}</style><p>x" >"$scratch/style.html"
    echo "$head<script>console.error('broken')</script>" >"$scratch/console.html"
    echo "$head<script>undefined_name()</script>" >"$scratch/throws.html"
    found=$(problems "$scratch/good.html")
    [ -z "$found" ] || { echo "check_report: a good page was refused: $found" >&2; exit 1; }
    for bad in image style console throws; do
        found=$(problems "$scratch/$bad.html")
        [ -n "$found" ] || { echo "check_report: the bad page '$bad' was not caught" >&2; exit 1; }
        echo "caught $bad: $(head -n 1 <<<"$found")"
    done
    exit 0
fi

status=0
for page in "$@"; do
    [ -r "$page" ] || fail "cannot read $page"
    found=$(problems "$page")
    if [ -n "$found" ]; then
        status=1
        sed "s|^|$page: |" <<<"$found" >&2
    else
        echo "$page: drawn, console silent, no request"
    fi
done
exit $status
