"""Runs the SQL that `aoi tolerance sql` prints in real engines, imports what they give, and compares the limits with those of the records file.

    python3 -m venv .venv && .venv/bin/pip install -r tools/engines/requirements-all.txt
    .venv/bin/python tools/engines/check.py --aoi target/release/aoi duckdb postgres clickhouse

Every column of the limits file must be equal byte for byte, but for `input_sha256`, which names another file. Exits with 1 at the first difference.
`--keep FOLDER` leaves statements, aggregates and limits there; `--fixture FOLDER` writes the small table and DuckDB's aggregates of it, and nothing else.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

# The columns of the test tables: all that a statement can use.
TEXTS = ["part", "model", "revision", "inspection", "feature", "unit", "verdict", "defect_id", "board", "refdes", "record_id", "flagged"]
REALS = ["value", "lower", "upper", "nominal", "sigma", "resolution"]
COLUMNS = TEXTS + REALS + ["time"]

# What limits are computed with: the first is the default.
SETTINGS = [
    [],
    ["--policy", "paper", "--percentile", "75"],
    ["--policy", "certified", "--alpha", "0.9", "--simultaneous"],
    ["--margin", "0.5", "--percentile", "90"],
    ["--margin", "2%", "--misses", "1"],
    ["--resolution", "0.1", "--percentile", "97.3"],
    ["--percentile", "0", "--equal-is-flagged"],
    ["--percentile", "100", "--ignore-borderline", "--max-pending", "1"],
]
# These settings belong to the statement; the importer reads them from the file, or does not need them.
STATEMENT_ONLY = {"--percentile": 1, "--equal-is-flagged": 0, "--ignore-borderline": 0}


def odd_records(path):
    """A small file with everything that the statement has a rule for."""
    header = COLUMNS
    rows = []

    def add(part, value, verdict, lower="40", upper="", times=1, **more):
        for _ in range(times):
            row = dict.fromkeys(header, "")
            row |= {"part": part, "inspection": "solder", "feature": "height", "value": value, "verdict": verdict, "lower": lower, "upper": upper}
            row |= {"record_id": f"r{len(rows)}"} | more
            rows.append(row)

    for i in range(60):
        add("A", f"{39.9 - i % 23 / 10}", "False Call")
        add("B", f"{61 + i % 17 / 7}", "good", upper="60", sigma="0.05")
        add("B", f"{39.5 - i / 9}", "10002", upper="60", sigma="0.02")
        add("C", f"{39 - i % 5}", "pseudo", resolution="0.5")
        add("D", f"{39 - i % 5}", "false_call", resolution="0.5" if i % 2 else "0.25")
        add("E", f"{39 - i / 7}", "false_call", model="M1")
        add("F", f"{39 - i / 7}", "false_call", lower="40" if i < 30 else "39.5", time=f"2026-03-{1 + i % 28:02}T10:00:00+02:00")
        add("G", f"{39 - i / 7}", "false_call")
        add("I", f"{39 - i / 7}", "false_call")
        add("J", f"{-1 - i / 7}", "false_call", lower="-0.0" if i % 2 else "0.0")
        add("K", f"{39 - i / 7}", "false_call")
    for value, verdict in [("31", "defect"), ("30.5", "DefectConfirmed"), ("29", "10042"), ("38.2", "borderline"), ("38.4", "Not yet classified")]:
        for part in "ABCDEFGIK":
            add(part, value, verdict, upper="60" if part == "B" else "", sigma="0.05" if part == "B" else "")
    add("B", "66", "defect", upper="60")
    add("J", "-9", "defect", lower="0")
    # Copies: the same again, another verdict, another value under the same verdict.
    add("A", "35", "defect", record_id="twin")
    add("A", "35", "defect", record_id="twin")
    add("A", "34", "defect", record_id="twin")
    add("A", "39.5", "false_call", record_id="twin")
    # Not reviewed; an unknown word; a flag without a word.
    add("E", "38", "", model="M1")
    add("E", "38", "what is this", model="M1")
    # A defect without a value blocks its limit; one without a feature blocks what agrees; a flag without a value is pending.
    add("G", "", "defect")
    add("I", "", "", flagged="1")
    add("K", "", "pass")
    # A fault that one limit flagged is no escape at another; one that none flagged is, at the nearer limit.
    add("A", "33", "defect", defect_id="d1")
    add("B", "45", "defect", upper="60", defect_id="d1")
    add("B", "59", "escape", upper="60", board="b", refdes="u1")
    add("C", "41", "escape", defect_id="d2")
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)


def canonical(records, path):
    """The records with all columns, for tables whose statement names them all."""
    with open(records, newline="") as source, open(path, "w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="")
        writer.writeheader()
        for row in csv.DictReader(source):
            writer.writerow({name: row.get(name, "") for name in COLUMNS})


class DuckDb:
    name = "duckdb"

    def __init__(self, folder):
        import duckdb

        self.connection = duckdb.connect()
        self.version = duckdb.__version__

    def load(self, path):
        kinds = ", ".join(f"{c} {'DOUBLE' if c in REALS else 'TIMESTAMPTZ' if c == 'time' else 'VARCHAR'}" for c in COLUMNS)
        self.connection.execute("DROP TABLE IF EXISTS records")
        self.connection.execute(f"CREATE TABLE records ({kinds})")
        self.connection.execute(f"COPY records FROM '{path}' (HEADER, NULLSTR '')")

    def run(self, statement, out):
        bare = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
        self.connection.execute(f"COPY ({bare}) TO '{out}' (HEADER)")


class Postgres:
    name = "postgres"

    def __init__(self, folder):
        import pgserver

        self.server = pgserver.get_server(folder / "pgdata")
        self.psql = Path(pgserver.__file__).parent / "pginstall" / "bin" / "psql"
        self.version = self.ask("SHOW server_version").strip()

    def ask(self, *commands, options=()):
        arguments = [part for command in commands for part in ("-c", command)]
        done = subprocess.run([self.psql, self.server.get_uri(), "-qAtX", "-v", "ON_ERROR_STOP=1", *options, *arguments], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"postgres: {done.stderr}")
        return done.stdout

    def load(self, path):
        kinds = ", ".join(f"{c} {'double precision' if c in REALS else 'timestamptz' if c == 'time' else 'text'}" for c in COLUMNS)
        self.ask("DROP TABLE IF EXISTS records", f"CREATE TABLE records ({kinds})", f"\\copy records FROM '{path}' CSV HEADER")

    def run(self, statement, out):
        file = Path(out).with_suffix(".sql")
        file.write_text(statement)
        done = subprocess.run([self.psql, self.server.get_uri(), "-qX", "--csv", "-v", "ON_ERROR_STOP=1", "-f", file], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"postgres: {done.stderr}")
        Path(out).write_text(done.stdout)


class ClickHouse:
    name = "clickhouse"

    def __init__(self, folder):
        from chdb.session import Session

        self.session = Session(str(folder / "chdata"))
        self.version = self.session.query("SELECT version()", "TSV").data().strip()

    def load(self, path):
        kinds = ", ".join(f"{c} {'Nullable(Float64)' if c in REALS else 'Nullable(String)'}" for c in COLUMNS)
        self.session.query("DROP TABLE IF EXISTS records")
        self.session.query(f"CREATE TABLE records ({kinds}) ENGINE = MergeTree ORDER BY tuple()")
        self.session.query(f"INSERT INTO records SELECT * FROM file('{path}', CSVWithNames, '{kinds}')")

    def run(self, statement, out):
        Path(out).write_bytes(self.session.query(statement, "CSVWithNames").bytes())


def fixture(aoi, folder):
    """The table with everything in it, and what DuckDB makes of it."""
    folder.mkdir(parents=True, exist_ok=True)
    odd_records(folder / "odd.csv")
    with tempfile.TemporaryDirectory() as scratch:
        engine = DuckDb(Path(scratch))
        engine.load(folder / "odd.csv")
        statement = subprocess.run([aoi, "tolerance", "sql", "duckdb", "--only-columns", ",".join(COLUMNS)], check=True, capture_output=True, text=True).stdout
        engine.run(statement, folder / "aggregates.csv")


ENGINES = {engine.name: engine for engine in [DuckDb, Postgres, ClickHouse]}


def importing(settings):
    """The settings without those of the statement alone."""
    kept, skip = [], 0
    for word in settings:
        if skip:
            skip -= 1
        elif word in STATEMENT_ONLY:
            skip = STATEMENT_ONLY[word]
        else:
            kept.append(word)
    return kept


def rows_of(path):
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k != "input_sha256"} for row in csv.DictReader(file)]


def compare(label, expected, found):
    """Fails at the first difference; gives how many limits were compared, moved, and left for want of the values."""
    if len(expected) != len(found):
        sys.exit(f"{label}: {len(found)} limits, expected {len(expected)}")
    stayed = 0
    for want, have in zip(expected, found):
        if have["reason"].startswith("the aggregates do not tell"):
            stayed += 1
            if have["new_limit"] != have["old_limit"]:
                sys.exit(f"{label}: a limit moved that should have stayed: {have}")
            continue
        for column in want:
            if want[column] != have[column]:
                sys.exit(f"{label}: {want['part']} {want['feature']} {want['side']}: {column} is {have[column]!r}, expected {want[column]!r}")
    moved = sum(row["decision"] in ("relaxed", "guarded") for row in found)
    return len(expected), moved, stayed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", help=f"of {', '.join(ENGINES)}; duckdb if none is named")
    parser.add_argument("--aoi", required=True, help="the command")
    parser.add_argument("--records", help="a records CSV; a generated line otherwise")
    parser.add_argument("--keep", help="leave statements, aggregates and limits in this folder")
    parser.add_argument("--fixture", help="write the test data into this folder")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.engines if name not in ENGINES]
    if unknown:
        parser.error(f"there is no engine {unknown[0]}")
    if arguments.fixture:
        return fixture(arguments.aoi, Path(arguments.fixture))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        line = arguments.records
        if not line:
            subprocess.run([arguments.aoi, "demo", "--quick", "--out", Path(scratch) / "demo"], check=True, capture_output=True)
            line = Path(scratch) / "demo" / "records.csv"
        canonical(line, folder / "line.csv")
        odd_records(folder / "odd.csv")
        for name in arguments.engines or ["duckdb"]:
            engine = ENGINES[name](Path(scratch))
            moved_in_all = 0
            for source in ["odd", "line"]:
                records = (folder / f"{source}.csv").resolve()
                engine.load(records)
                for number, settings in enumerate(SETTINGS):
                    stem = f"{name}-{source}-{number}"
                    expected, found = folder / f"{stem}-expected.csv", folder / f"{stem}-limits.csv"
                    aggregates = (folder / f"{stem}.csv").resolve()
                    subprocess.run([arguments.aoi, "tolerance", "optimise", records, "--out", expected, *settings], check=True, capture_output=True)
                    columns = ["--only-columns", ",".join(COLUMNS)]
                    statement = subprocess.run([arguments.aoi, "tolerance", "sql", name, *columns, *settings], check=True, capture_output=True, text=True).stdout
                    engine.run(statement, aggregates)
                    done = subprocess.run([arguments.aoi, "tolerance", "import-aggregates", aggregates, "--out", found, *importing(settings)], capture_output=True, text=True)
                    if done.returncode:
                        sys.exit(f"{stem}: {done.stderr}")
                    limits, moved, stayed = compare(f"{stem} {settings}", rows_of(expected), rows_of(found))
                    moved_in_all += moved
                    print(f"{name} {engine.version}  {source:4}  {' '.join(settings) or 'defaults':40}  {limits} limits, {moved} moved, {stayed} left for want of the values")
            if moved_in_all == 0:
                sys.exit(f"{name}: no limit moved, so nothing was compared")


if __name__ == "__main__":
    main()
