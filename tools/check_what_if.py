"""Moves the slider of a report in headless Chromium and compares what the page says and saves with what `aoi` computes.

    python3 tools/check_what_if.py --aoi target/release/aoi RECORDS.csv [OPTIONS OF OPTIMISE...]

Writes a report for RECORDS, then at several percentiles compares the page's sums with `aoi tolerance simulate`, and the file that its button saves, byte
for byte, with that of `aoi tolerance optimise`; last with a percentile of its own for one limit. The slider is moved by arrow keys as a person without
a mouse would. Needs Chromium (or CHROMIUM=path) and nothing beyond Python's own library. Exits with 1 at the first difference.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class Browser:
    """Chromium, spoken to over two pipes: messages of JSON, ended by zero bytes."""

    def __init__(self, folder):
        names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
        program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
        if not program:
            sys.exit("check_what_if: no Chromium found; install it or set CHROMIUM to its path")
        to_read, self.out = os.pipe()
        self.answers, to_write = os.pipe()

        def pipes():
            # The browser reads from 3 and writes to 4; the ends may have these very numbers already.
            reading, writing = os.dup(to_read), os.dup(to_write)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe", "--host-resolver-rules=MAP * ~NOTFOUND"]
        flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}", "--window-size=1366,2000"]
        with open(folder / "browser.log", "wb") as log:
            self.process = subprocess.Popen([program, *flags], preexec_fn=pipes, close_fds=False, stdout=log, stderr=log)
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.number, self.session = b"", 0, None

    def call(self, method, session=True, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session and self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                piece = os.read(self.answers, 1 << 16)
                if not piece:
                    sys.exit("check_what_if: the browser ended")
                self.buffer += piece
            text, self.buffer = self.buffer.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("method") == "Runtime.exceptionThrown":
                sys.exit(f"check_what_if: the page threw {answer['params']}")
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"check_what_if: {method}: {answer['error']}")
                return answer["result"]

    def open(self, page, downloads):
        self.call("Browser.setDownloadBehavior", session=False, behavior="allow", downloadPath=str(downloads), eventsEnabled=False)
        target = self.call("Target.createTarget", session=False, url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", session=False, targetId=target, flatten=True)["sessionId"]
        self.call("Runtime.enable")
        self.call("Page.enable")
        self.call("Page.navigate", url=page.as_uri())
        until(lambda: self.ask("document.readyState") == "complete", "the page did not load")

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            sys.exit(f"check_what_if: {expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key, code, times=1):
        for _ in range(times):
            for kind in ["rawKeyDown", "keyUp"]:
                self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def close(self):
        self.call("Browser.close", session=False)
        self.process.wait(timeout=30)


def until(holds, complaint, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"check_what_if: {complaint}")
        time.sleep(0.05)


def equal(what, found, expected):
    if found != expected:
        sys.exit(f"check_what_if: {what}: the page says {found!r}, aoi {expected!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aoi", required=True, help="the command")
    parser.add_argument("records")
    parser.add_argument("options", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()

    def aoi(*words):
        done = subprocess.run([arguments.aoi, "tolerance", *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"check_what_if: aoi {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        page, downloads = folder / "report.html", folder / "downloads"
        downloads.mkdir()
        aoi("optimise", arguments.records, "--out", folder / "start.csv", "--report", page, "--report-time", "2026-01-01T00:00:00Z", *arguments.options)
        stops = [0, 1, 50, 77, 80, 99, 100]
        swept = json.loads(aoi("simulate", arguments.records, "--percentiles", ",".join(map(str, stops)), "--out", folder / "sweep.csv", "--json", *arguments.options))
        browser = Browser(folder)
        browser.open(page, downloads)
        text = lambda name: browser.ask(f"document.getElementById('live-{name}').textContent").replace(",", "")

        def saved():
            file = downloads / "limits.csv"
            file.unlink(missing_ok=True)
            browser.ask("document.getElementById('live-save').click()")
            until(lambda: file.exists() and not list(downloads.glob("*.crdownload")), "the button saved nothing")
            return file.read_text()

        def limits(percentile):
            out = folder / f"at-{percentile}.csv"
            aoi("optimise", arguments.records, "--out", out, "--percentile", percentile, *arguments.options)
            return out.read_text()

        equal("the section's visibility", browser.ask("document.getElementById('live').hidden"), False)
        browser.ask("document.getElementById('live-percentile').focus()")
        at, steps = None, 0
        for point in swept["percentiles"]:
            stop = f"{point['percentile']:g}"
            if at is None:
                browser.press("Home", 36)
            while text("value") != stop:
                browser.press("ArrowRight", 39)
                steps += 1
                if steps > 200:
                    sys.exit(f"check_what_if: the slider does not reach {stop}")
            at = stop
            equal(f"false calls left at {stop}", text("after"), str(point["false_calls_after"]))
            equal(f"false calls before at {stop}", text("before"), str(swept["false_calls_before"]))
            equal(f"defects flagged at {stop}", text("flagged"), str(point["defects_after"]))
            equal(f"limits that move at {stop}", text("moved"), str(point["moved"]))
            equal(f"what a screen reader says at {stop}", browser.ask("document.getElementById('live-percentile').getAttribute('aria-valuetext')"), f"percentile {stop}")
            equal(f"the file saved at {stop}", saved(), limits(stop))
        # One limit with a percentile of its own: its row is that of 50, the others those of 100.
        browser.ask("(() => { const own = document.querySelector('#live-rows select'); own.value = '50'; own.dispatchEvent(new Event('change')); })()")
        equal("limits with a percentile of their own", text("overrides"), "1")
        mixed, all_of, half_of = (t.splitlines() for t in (saved(), limits("100"), limits("50")))
        differing = [row for row, (mine, other) in enumerate(zip(mixed, all_of)) if mine != other]
        equal("rows that differ from 100", len(differing), 1)
        equal("the row with its own percentile", mixed[differing[0]], half_of[differing[0]])
        browser.ask("document.getElementById('live-reset').click()")
        equal("limits with a percentile of their own after the reset", text("overrides"), "0")
        equal("the file saved after the reset", saved(), limits("100"))
        size = page.stat().st_size
        browser.close()
        print(f"{arguments.records}: {len(swept['percentiles'])} percentiles, sums and files equal; the page has {size:,} bytes")


if __name__ == "__main__":
    main()
