//! The comparison as Markdown.

use std::fmt::Write;

use super::{Comparison, OfBank, OfKind};

/// Title, how it was measured, one table per bank.
pub(super) fn markdown(found: &Comparison) -> String {
    let Comparison { date, machine, k, threads, banks } = found;
    let dirty = if machine.dirty { " with changes" } else { "" };
    let mut out = format!(
        "# Compact copies: bounds, candidates, speed\n\n\
         Written by `aoi-bench compare-copies` on {date}; {}, commit {}{dirty}. Cosine, k = {k}. A candidate is a row whose upper bound reaches the {k}-th best lower \
         bound. A query falls back where it has more of them than the search would score. Each bound was checked against the exact score of every row, each set of \
         candidates against the exact neighbours. Bytes are those of codes, step and bias. Times are of the search itself with {threads} threads, for kinds that it implements: the \
         median of the rounds.\n",
        machine.cpu, machine.commit
    );
    for bank in banks {
        of_bank(&mut out, bank);
    }
    out
}

fn of_bank(out: &mut String, bank: &OfBank) {
    let OfBank { name, rows, width, queries, mean_length, most_rescored, held_bytes, kinds } = bank;
    let held = held_bytes.map(|bytes| bytes as f64 / *rows as f64);
    let _ = writeln!(
        out,
        "\n## {name}\n\n{rows} x {width}, {queries} queries, mean of length {mean_length:.3}; at most {most_rescored} rows of a query are scored exactly. The search holds {:.0} bytes a row \
         beside the f32 rows with its copy, {:.0} without.\n\n\
         | copy | bytes a row | bound: mean | max | candidates: mean | 99 % | max | fall back | ms a query | build, s |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        held[0], held[1]
    );
    for kind in kinds {
        let OfKind { name, row_bytes, bound, candidates, fallbacks, timed } = kind;
        let (per_query, build) = timed.as_ref().map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |t| (format!("{:.3}", 1e3 * t.seconds() / *queries as f64), format!("{:.2}", t.build)),
        );
        let _ = writeln!(
            out,
            "| {name} | {row_bytes} | {:.1e} | {:.1e} | {:.1} | {:.0} | {:.0} | {fallbacks} | {per_query} | {build} |",
            bound.mean,
            bound.max,
            candidates.mean,
            candidates.percentile_99.unwrap_or(f64::NAN),
            candidates.max,
        );
    }
}
