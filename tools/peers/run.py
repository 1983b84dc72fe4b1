#!/usr/bin/env python3
"""Measures `aoi` and its peers side by side; see README.md."""

import argparse
import os
from pathlib import Path

import encoder
import harness
import live
import retrieval
import retrieval_gpu
import tolerance
import training

WORKS = {"encoder": encoder, "live": live, "retrieval": retrieval, "retrieval-gpu": retrieval_gpu, "tolerance": tolerance, "training": training}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    works = parser.add_subparsers(dest="work", required=True, metavar="WORK")
    for name, module in WORKS.items():
        work = works.add_parser(name, help=module.__doc__)
        work.add_argument("--quick", action="store_true", help="small inputs, two rounds, nothing recorded")
        work.add_argument("--rounds", type=int, default=5)
        work.add_argument("--threads", type=int, default=2)
        work.add_argument("--results", type=Path, default=harness.ROOT / "aoi-bench/results", help="folder of results")
        work.add_argument("--programs", type=Path, help="folder of aoi and aoi-bench, where they cannot be built")
        work.add_argument("--interpreter", help="Python that has the peers, where nothing can be installed")
        module.arguments(work)
    options = parser.parse_args()
    if options.quick:
        options.rounds = 2
    harness.WORK.mkdir(parents=True, exist_ok=True)
    work = WORKS[options.work]
    aoi, bench = harness.programs(options, getattr(work, "FEATURES", ()))
    load = os.getloadavg()[0]
    comparisons = work.comparisons(options, aoi, bench)
    if not options.quick:
        # Works on a GPU say so, and what else they ran with.
        machine = work.machine(options, bench) if hasattr(work, "machine") else [bench, "machine"]
        versions = work.versions(options) if hasattr(work, "versions") else {}
        harness.write_record(options, bench, comparisons, load, machine, versions)


if __name__ == "__main__":
    main()
