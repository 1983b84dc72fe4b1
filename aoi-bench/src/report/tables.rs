//! Tables of results.

use std::fmt::Write;
use std::path::Path;

use crate::ceilings::Ceilings;
use crate::machine::Machine;
use crate::record::{Comparison, Ratio, Record, Runs, median, range};

/// The ceilings of one machine.
pub(super) fn ceilings(ceilings: &Ceilings) -> String {
    let Machine { cpu, cpu_numbers, cores, gpu, .. } = &ceilings.machine;
    let gpu = gpu.as_ref().map(|gpu| format!("{gpu} in a machine with ")).unwrap_or_default();
    let mut text = format!(
        "\n## Ceilings: {gpu}{cpu} ({cpu_numbers}, {cores} cores), {}\n\n\
         | operation | instructions | threads | best | median |\n|---|---|--:|--:|--:|\n",
        ceilings.date
    );
    for c in &ceilings.ceilings {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} {} | {:.1} {} |",
            c.name, c.path, c.threads, c.best, c.unit, c.median, c.unit
        );
    }
    text
}

/// A machine, its system, the compiler and the commit in one line.
pub(super) fn machine_line(machine: &Machine) -> String {
    let Machine { cpu, cpu_numbers, gpu, cores, memory_mib, system, rustc, commit, dirty, .. } = machine;
    let gpu = gpu.as_ref().map(|gpu| format!("{gpu}; ")).unwrap_or_default();
    let changed = if *dirty { ", with changes" } else { "" };
    format!(
        "{gpu}{cpu} ({cpu_numbers}), {cores} cores, {memory_mib} MiB, {system}; {rustc}; commit {commit}{changed}"
    )
}

/// Everything in one record.
pub(super) fn record(path: &Path, record: &Record) -> String {
    let mut text = format!(
        "\n## {}\n\n{}; {}; load before {:.2}.\n\n    {}\n\n",
        path.display(),
        machine_line(&record.machine),
        record.date,
        record.load_before,
        record.command,
    );
    let versions: Vec<String> = record.versions.iter().map(|(name, v)| format!("{name} {v}")).collect();
    let _ = writeln!(text, "{}.", versions.join(", "));
    for c in &record.comparisons {
        text += &comparison(c);
    }
    text
}

fn comparison(comparison: &Comparison) -> String {
    let Comparison { work, size, input, checked, operations, runs, .. } = comparison;
    let mut text = format!(
        "\n### {work}, {size}\n\n{input} Checked: {checked}\n\n\
         | implementation | seconds, median (range) | time ratio (range of pairs) | peak MiB, median | memory ratio | Gop/s |\n\
         |---|--:|--:|--:|--:|--:|\n"
    );
    let Some(base) = runs.first() else { return text };
    for run in runs {
        let Runs { name, seconds, peak_mib, .. } = run;
        let (low, high) = range(seconds);
        let ratio = Ratio::of(seconds, &base.seconds);
        let memory = if peak_mib.is_empty() { "-".to_owned() } else { format!("{:.0}", median(peak_mib)) };
        let memory_ratio = match (peak_mib.is_empty(), base.peak_mib.is_empty()) {
            (false, false) => format!("{:.2}", Ratio::of(peak_mib, &base.peak_mib).median),
            _ => "-".to_owned(),
        };
        let rate = operations.map_or("-".to_owned(), |n| format!("{:.0}", n / median(seconds) / 1e9));
        let _ = writeln!(
            text,
            "| {name} | {:.3} ({low:.3}-{high:.3}) | {:.2} ({:.2}-{:.2}) | {memory} | {memory_ratio} | {rate} |",
            median(seconds),
            ratio.median,
            ratio.low,
            ratio.high,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, runs};
    use super::*;

    #[test]
    fn a_row_says_median_range_and_ratio() {
        let runs = vec![runs("aoi", &[1.0, 2.0, 4.0], &[10.0]), runs("peer", &[3.0, 5.0, 8.0], &[])];
        let text = comparison(&Comparison { operations: Some(4e9), ..samples::comparison("w", 5, runs) });
        assert!(text.contains("| aoi | 2.000 (1.000-4.000) | 1.00 (1.00-1.00) | 10 | 1.00 | 2 |"), "{text}");
        assert!(text.contains("| peer | 5.000 (3.000-8.000) | 2.50 (2.00-3.00) | - | - | 1 |"), "{text}");
    }
}
