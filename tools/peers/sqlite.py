"""SQLite as the store of a stream: records with unique names into a table, 10,000 to a synced transaction, and back after a restart.

    python3 tools/peers/sqlite.py [--records 1000000] [--folder .]

Prints seconds as JSON. The standard library's binding is used; its own cost a row is printed beside (inserting into a table in memory).
"""
import argparse
import json
import os
import sqlite3
import tempfile
import time

GROUP = 10_000


def rows(first, last):
    return [(f"B{i // 12:06}-{i}", i % 1000, 100 + (i * 7919 % 1000) / 100, i % 67 == 0, i * 1_000_000) for i in range(first, last)]


def fill(connection, records):
    connection.execute("CREATE TABLE records (id TEXT PRIMARY KEY, form INTEGER, value REAL, flagged INTEGER, time INTEGER) WITHOUT ROWID")
    seconds = 0.0
    for first in range(0, records, GROUP):
        batch = rows(first, min(first + GROUP, records))
        start = time.perf_counter()
        with connection:
            connection.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)", batch)
        seconds += time.perf_counter() - start
    assert connection.execute("SELECT count(*) FROM records").fetchone()[0] == records
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--folder", default=".")
    arguments = parser.parse_args()
    memory = fill(sqlite3.connect(":memory:"), arguments.records)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = os.path.join(folder, "records.db")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        durable = fill(connection, arguments.records)
        connection.close()
        start = time.perf_counter()
        connection = sqlite3.connect(path)
        flagged = connection.execute("SELECT form, value FROM records WHERE flagged").fetchall()
        counts = connection.execute("SELECT form, count(*) FROM records GROUP BY form").fetchall()
        restart = time.perf_counter() - start
        assert sum(n for _, n in counts) == arguments.records and flagged
    print(json.dumps({"sqlite": sqlite3.sqlite_version, "records": arguments.records, "memory": memory, "durable": durable, "restart": restart}))


main()
