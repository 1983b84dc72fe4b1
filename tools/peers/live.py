"""A stream into memory, onto the disk and back after a restart; `sqlite.py` holds the peer.

SQLite keeps one row a record in a table with a unique name; `aoi` also keeps exact order statistics, drift charts and a hash chain, and its
proposals are compared with those of a batch in every round.
"""

import json
import subprocess
import sys

from harness import HERE, WORK, middle, show


def arguments(parser):
    parser.add_argument("--records", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--limits", type=int, default=1_000)


def comparisons(options, aoi, bench):
    if options.quick:
        options.records = [50_000]
    return [c for records in options.records for c in stream(options, bench, records)]


def stream(options, bench, records):
    ours = [bench, "live", "--records", str(records), "--limits", str(options.limits), "--folder", str(WORK)]
    sqlite = [sys.executable, HERE / "sqlite.py", "--records", str(records), "--folder", WORK]
    turns = {"aoi": [], "sqlite": []}
    for _ in range(options.rounds):
        turns["aoi"].append(ask(ours))
        turns["sqlite"].append(ask(sqlite))
    first = turns["aoi"][0]
    held = middle([turn["held_mib"] for turn in turns["aoi"]])
    stated = (
        f"{records} records of {options.limits} limits, {first['flagged']} flagged by T0, one thread; "
        f"SQLite {turns['sqlite'][0]['sqlite']}."
    )

    def comparison(work, said, checked, *runs):
        found = {
            "work": work,
            "size": records,
            "input": f"{stated} {said}",
            "checked": checked,
            "runs": [{"name": name, "seconds": [turn[field] for turn in turns[who]]} for name, who, field in runs],
        }
        show(found)
        rates = ", ".join(f"{run['name']} {records / middle(run['seconds']):,.0f}" for run in found["runs"])
        print(f"  records a second: {rates}", flush=True)
        return found

    batch = "every proposal equal to the batch's, bit for bit; the peer's rows counted."
    memory = f"{held:.0f} MiB held: {held * 2**20 / records:.0f} bytes a record, {held * 1024 / options.limits:.0f} KiB a limit."
    return [
        comparison("live_into_memory", memory, batch, ("aoi/recalibrator", "aoi", "memory"), ("sqlite/memory", "sqlite", "memory")),
        comparison(
            "live_durable",
            "Synced every 10,000 records; ours with drift charts and a hash chain.",
            batch,
            ("aoi/store", "aoi", "durable"),
            ("sqlite/wal_full", "sqlite", "durable"),
        ),
        comparison(
            "live_restart",
            "Until proposals can be asked; the peer reads its flagged rows and its counts.",
            "proposals after the restart equal to those before.",
            ("aoi/snapshot", "aoi", "restart"),
            ("aoi/log_alone", "aoi", "replay"),
            ("sqlite/select", "sqlite", "restart"),
        ),
    ]


def ask(command):
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
