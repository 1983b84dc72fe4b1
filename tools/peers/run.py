#!/usr/bin/env python3
"""Measures `aoi` and its peers side by side; see README.md."""

import argparse
import os

import encoder
import growth
import harness
import live
import retrieval
import tolerance
import training

WORKS = {"encoder": encoder, "growth": growth, "live": live, "retrieval": retrieval, "tolerance": tolerance, "training": training}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    works = parser.add_subparsers(dest="work", required=True, metavar="WORK")
    for name, module in WORKS.items():
        work = works.add_parser(name, help=module.__doc__)
        work.add_argument("--quick", action="store_true", help="small inputs, two rounds, nothing recorded")
        work.add_argument("--rounds", type=int, default=5)
        work.add_argument("--threads", type=int, default=2)
        module.arguments(work)
    options = parser.parse_args()
    if options.quick:
        options.rounds = 2
    harness.WORK.mkdir(parents=True, exist_ok=True)
    aoi, bench = harness.programs()
    load = os.getloadavg()[0]
    comparisons = WORKS[options.work].comparisons(options, aoi, bench)
    if not options.quick:
        harness.write_record(options.work, bench, comparisons, load)


if __name__ == "__main__":
    main()
