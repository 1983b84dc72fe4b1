"""Limits from a records CSV, whole process: read, flag, percentile (type 7), guard, write.

usage: from_csv.py VARIANT RECORDS.csv LIMITS.csv THREADS

The same limits as `aoi tolerance optimise` at its defaults. Left out, in the peers' favour: the digest of the input, false calls after the
change, certificates, escapes, duplicates, and every check of a row.
"""

import os
import sys

NAMES = ["part", "model", "inspection", "feature", "unit"]
NUMBERS = ["value", "lower", "upper"]
COLUMNS = NAMES + NUMBERS + ["verdict"]
PERCENT = 80.0


def duckdb_limits(variant, source, target, threads):
    import duckdb

    db = duckdb.connect()
    read = f"read_csv('{source}')"
    key = ", ".join(NAMES)
    if variant != "default":
        db.execute(f"SET threads = {threads}")
        db.execute("SET preserve_insertion_order = false")
        types = ", ".join(f"'{c}': '{'DOUBLE' if c in NUMBERS else 'VARCHAR'}'" for c in COLUMNS)
        read = f"read_csv('{source}', header = true, delim = ',', quote = '\"', auto_detect = false, columns = {{{types}}})"
    calls, defects = "FILTER (verdict = 'false_call')", "FILTER (verdict = 'defect')"
    share = PERCENT / 100
    if variant == "list":  # own percentile: sort each limit's values, interpolate between the two neighbours
        place, sorted_calls = f"((len(l) - 1) * {share})", f"list_sort(list(v) {calls})"
        below, above = f"l[CAST(floor{place} AS BIGINT) + 1]", f"l[least(CAST(floor{place} AS BIGINT) + 2, len(l))]"
        percentile = f"{below} + ({above} - {below}) * ({place} - floor{place})"
    else:
        sorted_calls, percentile = "NULL", "q"
    quantile = "NULL" if variant == "list" else f"quantile_cont(v, {share}) {calls}"
    # Upper limits are lower limits of the negated values. Only 1.5 % of the rows pass the filter, which DuckDB applies while it reads.
    db.execute(f"""
        COPY (
        WITH records AS (SELECT {key}, value, lower, upper, verdict FROM {read} WHERE value < lower OR value > upper),
        flagged AS (SELECT {key}, 'lower' AS side, lower AS old, value AS v, verdict FROM records WHERE value < lower
                    UNION ALL
                    SELECT {key}, 'upper', -upper, -value, verdict FROM records WHERE value > upper),
        grouped AS (SELECT {key}, side, old, count(*) {calls} AS n, count(*) {defects} AS d, max(v) {defects} AS worst,
                           {quantile} AS q, {sorted_calls} AS l
                    FROM flagged GROUP BY {key}, side, old),
        ranked AS (SELECT *, {percentile} AS p FROM grouped)
        SELECT {key}, side, CASE side WHEN 'lower' THEN old ELSE -old END AS old_limit,
               CASE WHEN n < 10 OR d < 1 OR greatest(p, worst) >= old THEN old ELSE greatest(p, worst) END
               * CASE side WHEN 'lower' THEN 1 ELSE -1 END AS new_limit,
               n AS false_calls_before, d AS defects_before
        FROM ranked ORDER BY ALL
        ) TO '{target}' (HEADER, DELIMITER ',')""")


def polars_limits(variant, source, target, threads):
    if variant != "default":
        os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    if variant == "default":
        lazy = pl.scan_csv(source)
    else:
        text = pl.Categorical if variant == "categorical" else pl.String
        lazy = pl.scan_csv(source, schema={c: pl.Float64 if c in NUMBERS else text for c in COLUMNS})
        if variant == "low_memory":
            lazy = pl.scan_csv(source, schema={c: pl.Float64 if c in NUMBERS else text for c in COLUMNS}, low_memory=True)
    engine = "in-memory" if variant == "in_memory" else "streaming" if variant != "default" else "auto"
    below, above = pl.col("value") < pl.col("lower"), pl.col("value") > pl.col("upper")
    flagged = lazy.filter(below.fill_null(False) | above.fill_null(False)).collect(engine=engine)
    sides = [
        flagged.filter(below).select(*NAMES, "verdict", side=pl.lit("lower"), old=pl.col("lower"), v=pl.col("value")),
        flagged.filter(above).select(*NAMES, "verdict", side=pl.lit("upper"), old=-pl.col("upper"), v=-pl.col("value")),
    ]
    calls, defects = pl.col("verdict") == "false_call", pl.col("verdict") == "defect"
    limits = (
        pl.concat(sides)
        .group_by(*NAMES, "side", "old")
        .agg(
            p=pl.col("v").filter(calls).quantile(PERCENT / 100, "linear"),
            n=calls.sum(),
            d=defects.sum(),
            worst=pl.col("v").filter(defects).max(),
        )
        .with_columns(new=pl.max_horizontal("p", "worst"))
        .with_columns(
            new=pl.when((pl.col("n") < 10) | (pl.col("d") < 1) | (pl.col("new") >= pl.col("old")))
            .then(pl.col("old"))
            .otherwise(pl.col("new")),
            sign=pl.when(pl.col("side") == "lower").then(1.0).otherwise(-1.0),
        )
        .select(
            *NAMES,
            "side",
            old_limit=pl.col("old") * pl.col("sign"),
            new_limit=pl.col("new") * pl.col("sign"),
            false_calls_before=pl.col("n"),
            defects_before=pl.col("d"),
        )
        .sort(*NAMES, "side")
    )
    limits.write_csv(target)


if __name__ == "__main__":
    name, source, target, threads = sys.argv[1:]
    peer, variant = name.split("/")
    {"duckdb": duckdb_limits, "polars": polars_limits}[peer](variant, source, target, int(threads))
