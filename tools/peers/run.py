#!/usr/bin/env python3
"""Measures `aoi` and its peers side by side; see README.md."""

import argparse
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import encoder
import growth
import harness
import live
import pipeline
import retrieval
import retrieval_gpu
import tolerance
import training

WORKS = {
    "encoder": encoder,
    "growth": growth,
    "live": live,
    "pipeline": pipeline,
    "retrieval": retrieval,
    "retrieval-gpu": retrieval_gpu,
    "tolerance": tolerance,
    "training": training,
}
# What `all` measures, in this order.
ON_CPU = ["tolerance", "growth", "encoder", "retrieval", "pipeline", "training", "live"]


def parser():
    parser = argparse.ArgumentParser(description=__doc__)
    works = parser.add_subparsers(dest="work", required=True, metavar="WORK")
    everything = works.add_parser("all", help="The ceilings, every work that needs no GPU, the workspace's own benches, and the report of all results")
    shared(everything, rounds=3)
    everything.add_argument("--weights", help="encoder weights, for a bank of real features")
    everything.add_argument("--images", help="folder of images to embed with them")
    own = works.add_parser("criterion", help=measure_criterion.__doc__)
    shared(own, rounds=5)
    for name, module in WORKS.items():
        work = works.add_parser(name, help=module.__doc__)
        shared(work, rounds=5)
        module.arguments(work)
    return parser


def shared(parser, rounds):
    parser.add_argument("--quick", action="store_true", help="small inputs, two rounds, nothing recorded")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=harness.ROOT / "aoi-bench/results", help="folder of results")
    parser.add_argument("--programs", type=Path, help="folder of aoi, aoi-bench and, for encoder, rten-forward, where they cannot be built")
    parser.add_argument("--interpreter", help="Python that has the peers, where nothing can be installed")


def measure(options):
    work = WORKS[options.work]
    if options.quick:
        options.rounds = 2
    aoi, bench = harness.programs(options, getattr(work, "FEATURES", ()))
    load = os.getloadavg()[0]
    comparisons = work.comparisons(options, aoi, bench)
    if not options.quick:
        # Works on a GPU say so, and what else they ran with.
        machine = work.machine(options, bench) if hasattr(work, "machine") else [bench, "machine"]
        versions = work.versions(options) if hasattr(work, "versions") else {}
        harness.write_record(options, bench, comparisons, load, machine, versions)


def measure_criterion(options):
    """The workspace's own benches: criterion runs them from nothing, and its estimates are kept"""
    if options.programs:
        print("criterion: left out, since it needs cargo and the source, not --programs")
        return
    _, bench = harness.programs(options)
    home = harness.WORK / "criterion"
    shutil.rmtree(home, ignore_errors=True)
    benches = ["cargo", "bench", "--locked", "-p", "aoi-bench", "--"]
    benches += ["--test"] if options.quick else ["--warm-up-time", "0.5", "--measurement-time", "1"]
    subprocess.run(benches, cwd=harness.ROOT, env={**os.environ, "CRITERION_HOME": str(home)}, check=True)
    if not options.quick:
        subprocess.run([bench, "estimates", home, "--results", options.results, "--by", shlex.join(benches)], check=True)


def measure_all(options):
    _, bench = harness.programs(options)
    quick = ["--quick"] if options.quick else []
    given = [*quick, "--rounds", options.rounds, "--threads", options.threads, "--results", options.results]
    if options.programs:
        given += ["--programs", options.programs]
    if options.interpreter:
        given += ["--interpreter", options.interpreter]
    subprocess.run([bench, "ceilings", *([] if options.quick else ["--results", options.results])], check=True)
    real = ["--weights", options.weights, "--images", options.images] if options.weights else []
    for name in ON_CPU:
        measure(parser().parse_args([name, *map(str, given), *(real if name == "retrieval" else [])]))
    measure_criterion(options)
    if not options.quick:
        subprocess.run([bench, "report", options.results], check=True)


def main():
    options = parser().parse_args()
    harness.WORK.mkdir(parents=True, exist_ok=True)
    if options.work == "all":
        measure_all(options)
    elif options.work == "criterion":
        measure_criterion(options)
    else:
        measure(options)


if __name__ == "__main__":
    main()
