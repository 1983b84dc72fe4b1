//! Criterion's estimates: a table for each group of benchmarks, and a plot where it has several sizes.

use std::fmt::Write;
use std::path::Path;

use super::growth::{curves, plot};
use super::tables::machine_line;
use crate::estimates::{Estimate, Estimates};

/// The tables of one run of the benches.
pub(super) fn tables(path: &Path, found: &Estimates) -> String {
    let mut text = format!(
        "\n## {}\n\nEstimates of criterion. {}; collected {}.\n\n    {}\n",
        path.display(),
        machine_line(&found.machine),
        found.date,
        found.command
    );
    for (group, estimates) in groups(found) {
        let level = estimates.first().map_or(0.0, |e| 100.0 * e.level);
        let _ = write!(
            text,
            "\n### {group}\n\n| benchmark | size | median ({level} % interval) | a second |\n|---|--:|--:|--:|\n"
        );
        for e in estimates {
            let name = e.function.as_deref().unwrap_or("-");
            let value = e.value.as_deref().unwrap_or("-");
            let rate = e.elements.map_or("-".to_owned(), |n| format!("{:.3e}", n as f64 / e.seconds));
            let times = times([e.seconds, e.low, e.high]);
            let _ = writeln!(text, "| {name} | {value} | {times} | {rate} |");
        }
    }
    text
}

/// Seconds against size, one plot for each group with a benchmark of two sizes or more.
pub(super) fn plots(found: &Estimates) -> Vec<(String, String)> {
    groups(found)
        .into_iter()
        .filter_map(|(group, estimates)| {
            let sized = estimates.iter().filter(|e| e.size().is_finite());
            let point = |e: &Estimate| (e.size(), e.seconds);
            let curves = curves(sized.map(|e| (e.function.as_deref().unwrap_or(group), point(e))));
            (!curves.is_empty()).then(|| (group.replace('/', "-"), plot(&curves)))
        })
        .collect()
}

/// Neighbours of one group; estimates are sorted by it.
fn groups(found: &Estimates) -> Vec<(&str, &[Estimate])> {
    let same = found.estimates.chunk_by(|a, b| a.group == b.group);
    same.filter_map(|estimates| Some((estimates.first()?.group.as_str(), estimates))).collect()
}

/// A median and its interval, all in the unit that suits the median.
fn times([median, low, high]: [f64; 3]) -> String {
    let units = [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)];
    let (unit, factor) = units.into_iter().find(|(_, f)| median * f >= 1.0).unwrap_or(units[3]);
    let [median, low, high] = [median, low, high].map(|s| s * factor);
    format!("{median:.2} {unit} ({low:.2}-{high:.2})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn estimate(group: &str, value: &str, seconds: f64) -> Estimate {
        Estimate {
            group: group.into(),
            function: Some("cpu".into()),
            value: Some(value.into()),
            elements: (seconds < 1.0).then_some(500),
            seconds,
            low: 0.5 * seconds,
            high: 2.0 * seconds,
            level: 0.95,
        }
    }

    #[test]
    fn a_group_is_a_table_and_where_sizes_grow_a_plot() {
        let found = Estimates {
            date: "2026-01-31".into(),
            machine: Machine::describe(),
            command: "cargo bench".into(),
            estimates: vec![
                estimate("a/b", "100", 0.002),
                estimate("a/b", "1000", 3.0),
                estimate("c", "small", 1e-9),
            ],
        };
        let text = tables(Path::new("m/criterion.json"), &found);
        assert!(
            text.contains("### a/b\n\n| benchmark | size | median (95 % interval) | a second |"),
            "{text}"
        );
        assert!(text.contains("| cpu | 100 | 2.00 ms (1.00-4.00) | 2.500e5 |"), "{text}");
        assert!(text.contains("| cpu | 1000 | 3.00 s (1.50-6.00) | - |"), "{text}");
        assert!(text.contains("### c\n") && text.contains("| cpu | small | 1.00 ns (0.50-2.00) |"), "{text}");
        let plots = plots(&found);
        assert_eq!(plots.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a-b"]);
        assert_eq!(plots[0].1.matches("<circle").count(), 2);
    }
}
