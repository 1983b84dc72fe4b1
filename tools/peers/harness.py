"""What every comparison needs: the peers' environment, our programs, processes that answer requests, and the record of a result."""

import datetime
import json
import os
import select
import shlex
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "peers"


def python(name, options):
    """The interpreter of a virtual environment that holds exactly `requirements-NAME.txt`; or the one that the command line names."""
    if options.interpreter:
        return options.interpreter
    folder, wanted = WORK / f"venv-{name}", requirements(name)
    done = folder / "requirements.done"
    if not done.is_file() or done.read_text() != wanted.read_text():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "-r", wanted], check=True)
        done.write_text(wanted.read_text())
    return folder / "bin/python"


def requirements(name):
    return HERE / f"requirements-{name}.txt"


def programs(options, features=()):
    if options.programs:
        return options.programs / "aoi", options.programs / "aoi-bench"
    build = ["cargo", "build", "-q", "--release", "--locked", "-p", "aoi", "-p", "aoi-bench", "--features", ",".join(features)]
    subprocess.run(build, cwd=ROOT, check=True)
    return TARGET / "release/aoi", TARGET / "release/aoi-bench"


class Server:
    """A process that holds its inputs in memory, reads one request a line and answers each with one JSON object a line."""

    def __init__(self, command, **environment):
        command = [str(word) for word in command]
        self.command, pipe = command, subprocess.PIPE
        self.child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **environment})

    def ask(self, request, patience=None):
        """The answer; `TimeoutError` where it takes longer than `patience` seconds, and the process is gone then."""
        self.child.stdin.write(request + "\n")
        self.child.stdin.flush()
        if patience and not select.select([self.child.stdout], [], [], patience)[0]:
            self.child.kill()
            self.child.wait()
            raise TimeoutError
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"{self.command}: ended with {self.child.wait()} at {request!r}")
        return json.loads(line)

    def close(self):
        self.child.stdin.close()
        if self.child.wait() != 0:
            raise SystemExit(f"{self.command}: exit {self.child.returncode}")


def middle(values):
    return sorted(values)[len(values) // 2]


def show(comparison):
    base = middle(comparison["runs"][0]["seconds"])
    print(f"{comparison['work']} {comparison['size']}: {comparison['checked']}")
    for run in comparison["runs"]:
        median = middle(run["seconds"])
        peak = f"{middle(run['peak_mib']):7.0f} MiB" if run.get("peak_mib") else ""
        low, high = min(run["seconds"]), max(run["seconds"])
        print(f"  {run['name']:26} {median:10.5f} s ({low:.5f}-{high:.5f})  {median / base:6.2f}x {peak}", flush=True)


def without_places(words):
    """The words of a command line without what is true of this machine alone: where its programs lie, and the folders before a file."""
    kept, words = [], iter(words)
    for word in words:
        option, _, value = word.partition("=")
        if option not in ("--programs", "--interpreter", "--results"):
            kept.append(os.path.basename(word.rstrip("/")) if os.path.isabs(word) else word)
        elif not value:
            next(words)
    return kept


def write_record(options, bench, comparisons, load_before, machine, more_versions):
    """Writes `RESULTS/<machine>/<date>/WORK.json`; `machine` is the command that describes where."""
    described = json.loads(subprocess.run(machine, check=True, capture_output=True, text=True).stdout)
    now = datetime.datetime.now(datetime.timezone.utc)
    # A comparison may need nothing but Python.
    wanted = requirements(options.work)
    versions = dict(line.split("==") for line in wanted.read_text().split()) if wanted.is_file() else {}
    versions["python"] = sys.version.split()[0]
    versions["aoi"] = subprocess.run([bench, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    versions.update(more_versions)
    record = {
        "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": described["machine"],
        "command": shlex.join(["python3", "tools/peers/run.py", *without_places(sys.argv[1:])]),
        "load_before": round(load_before, 2),
        "versions": versions,
        "comparisons": comparisons,
    }
    folder = options.results / described["folder"] / now.strftime("%Y-%m-%d")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{options.work}.json"
    file.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {file}")
