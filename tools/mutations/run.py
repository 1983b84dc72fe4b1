"""Takes single terms out of the gradient and demands that the tests notice.

    python3 tools/mutations/run.py [--only WORD]... [--log FILE]
    python3 tools/mutations/run.py --check        only that every text of the table still stands in its file once
    python3 tools/mutations/run.py --self-test    that a change of nothing is reported as unnoticed, and a missing text as such

The table is `terms.py`. Works on a copy of the checkout in a temporary folder, one term at a time: takes the term out, builds the test, which must
succeed, and runs it, which must fail by an assertion of the test; then puts the term back. Every test passes on the unchanged copy first. Ends with a
table, and with 1 when a term was not missed. Needs Rust and Python's own library; about twenty minutes on one core.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from terms import MAE, TERMS

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path("aoi-encoder/src")


class Copy:
    """A copy of the checkout: what git knows of, as it stands in the working tree."""

    def __init__(self, folder):
        self.folder = folder
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
        for name in filter(None, names.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        # A change to one line is built in seconds where builds are incremental.
        self.environment = {**os.environ, "CARGO_INCREMENTAL": "1", "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_TERM_COLOR": "never", "RUST_BACKTRACE": "0"}
        self.environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target" / "mutations"))

    def cargo(self, test, *options):
        target, name = test
        where = ["--lib"] if target == "lib" else ["--test", target]
        command = ["cargo", "test", "--locked", "-p", "aoi-encoder", "--features", "training", *where, *options]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        return done.returncode, done.stdout

    def build(self, test):
        """What the compiler says where the test does not compile; else nothing."""
        status, output = self.cargo(test, "--no-run")
        return output if status else None

    def run(self, test):
        """Whether the test passed, and where it failed if it did not."""
        target, name = test
        status, output = self.cargo(test, "--", "--exact", name)
        if status == 0 and "1 passed" in output:
            return True, ""
        own = SOURCES / Path(*name.split("::")[:-2]).with_suffix(".rs") if target == "lib" else f"aoi-encoder/tests/{target}.rs"
        places = re.findall(r"panicked at (\S+?):\d+:\d+:\n(.*)", output)
        asserted = [message for place, message in places if place == str(own) or place.startswith("aoi-testing/")]
        if "0 passed; 1 failed" not in output or not asserted:
            raise SystemExit(f"{target} {name} did not fail by an assertion of its own:\n{output[-4000:]}")
        return False, asserted[0]

    def without(self, file, text, replacement):
        """Takes a term out; the way to put it back."""
        path = self.folder / SOURCES / file
        whole = path.read_text()
        path.write_text(whole.replace(text, replacement))
        return lambda: path.write_text(whole)


def wrong_entries(terms):
    """Texts that do not stand in their file exactly once."""
    for file, entries in terms.items():
        whole = (ROOT / SOURCES / file).read_text()
        for term, text, _, _ in entries:
            if (count := whole.count(text)) != 1:
                yield f"{file}: {term}: {text!r} stands there {count} times"


def noticed(copy, file, entry):
    """What the test says without the term; nothing where it passes."""
    _, text, replacement, test = entry
    put_back = copy.without(file, text, replacement)
    try:
        if refused := copy.build(test):
            raise SystemExit(f"{file} without {text!r} does not compile:\n{refused[-4000:]}")
        passed, message = copy.run(test)
        return None if passed else message
    finally:
        put_back()


def run(terms, log):
    entries = [(file, entry) for file, own in terms.items() for entry in own]
    rows, missed, start = [], 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        for test in sorted({entry[3] for _, entry in entries}):
            if refused := copy.build(test):
                raise SystemExit(refused)
            if not copy.run(test)[0]:
                raise SystemExit(f"{' '.join(test)} fails before anything is changed")
        for file, entry in entries:
            message = noticed(copy, file, entry)
            missed += message is None
            term, (target, name) = entry[0], entry[3]
            rows.append((file, term, f"{target} {name.split('::')[-1]}", "NOT NOTICED" if message is None else message.strip()))
            print(" | ".join(rows[-1]), flush=True)
    lines = ["| file | term | test | what it said |", "|---|---|---|---|", *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)]
    lines.append(f"\n{len(rows)} terms, {missed} not noticed, {time.monotonic() - start:.0f} s")
    print("\n" + "\n".join(lines))
    if log:
        Path(log).write_text("\n".join(lines) + "\n")
    return missed


def self_test():
    file, text = "gradient/norm.rs", "*db += dy;"
    assert list(wrong_entries({file: [("beta", text + " // not there", "", MAE)]})), "a text that is not there was taken"
    assert list(wrong_entries({file: [("letters", "dy", "", MAE)]})), "a text that stands there often was taken"
    assert run({file: [("nothing", text, text + " ", MAE)]}, None) == 1, "a change of nothing was noticed"
    print("self-test passed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="entries whose file or term holds one of these words")
    parser.add_argument("--log", metavar="FILE", help="where the table is written too")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if wrong := list(wrong_entries(TERMS)):
        sys.exit("\n".join(wrong))
    if options.check:
        return
    if options.self_test:
        self_test()
        return
    words = options.only or [""]
    kept = {file: [entry for entry in own if any(word in f"{file} {entry[0]}" for word in words)] for file, own in TERMS.items()}
    terms = {file: own for file, own in kept.items() if own}
    if not terms:
        sys.exit("no entry holds any of these words")
    sys.exit(1 if run(terms, options.log) else 0)


if __name__ == "__main__":
    main()
