//! Operations a second against operations a byte, under the roofs of the machine: memory on the left, arithmetic above.
//!
//! # Source
//! Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", 2009. A byte counts once however often it is read, so
//! a point lies as far to the right as any implementation could bring it.

use super::axes::{Axes, COLOURS, legend};
use crate::ceilings::{Ceiling, Ceilings};
use crate::record::{Record, median};

/// Ceilings that are roofs, of which the first that the machine has is drawn, and what they are called here.
const ROOFS: [(&[&str], &str); 5] = [
    (&["f32_fma"], "f32"),
    (&["bf16_tiles", "bf16_dot"], "bf16"),
    (&["int8_tiles", "int8_dot"], "int8"),
    (&["f16_fma"], "f16"),
    (&["f16_matrix"], "f16 matrices"),
];
/// Ceilings of memory: of a processor, of a GPU.
const MEMORY: [&str; 2] = ["read_memory", "copy_memory"];

/// A plot of every comparison that says its operations and bytes; none where there is none, or no ceilings.
pub(super) fn plot(record: &Record, ceilings: &Ceilings) -> Option<String> {
    let memory = MEMORY.iter().find_map(|name| ceilings.on_all_threads(name))?.best * 1e9;
    let best = |names: &[&str]| names.iter().find_map(|name| ceilings.on_all_threads(name));
    let roofs: Vec<(&str, &Ceiling)> =
        ROOFS.iter().filter_map(|(names, called)| Some((*called, best(names)?))).collect();
    let mut dots = Vec::new();
    for c in &record.comparisons {
        let (Some(operations), Some(bytes)) = (c.operations, c.bytes) else { continue };
        for (i, run) in c.runs.iter().enumerate() {
            let point = (operations / bytes, operations / median(&run.seconds));
            let ours = i == 0 || run.name.starts_with("aoi");
            dots.push((point, ours, format!("{}, {}: {}", c.work, c.size, run.name)));
        }
    }
    if dots.is_empty() || roofs.is_empty() {
        return None;
    }
    let mut points: Vec<(f64, f64)> = dots.iter().map(|d| d.0).collect();
    let highest = roofs.iter().map(|(_, roof)| roof.best * 1e9).fold(0.0, f64::max);
    points.extend([(highest / memory, highest), (1.0, memory)]);
    let axes = Axes::around(&points);
    let mut svg = axes.ground("operations a byte", "operations a second", "");
    let (left, right) = axes.ends();
    let mut names = vec![("aoi", COLOURS[1]), ("others", COLOURS[6])];
    for ((called, roof), colour) in roofs.iter().zip([0, 2, 3, 4, 5].map(|c| COLOURS[c])) {
        let peak = roof.best * 1e9;
        svg += &axes.line(&[(left, memory * left), (peak / memory, peak), (right, peak)], colour);
        names.push((*called, colour));
    }
    // Ours above the others.
    dots.sort_by_key(|d| d.1);
    for (point, ours, title) in dots {
        svg += &axes.dot(point, if ours { COLOURS[1] } else { COLOURS[6] }, &title);
    }
    Some(svg + &legend(&names) + "</svg>\n")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, comparison, runs};
    use super::*;
    use crate::machine::Machine;
    use crate::record::Comparison;

    fn record(bytes: Option<f64>) -> Record {
        let runs = vec![runs("aoi", &[0.01], &[]), runs("peer", &[0.02], &[])];
        samples::record(vec![Comparison { operations: Some(1e9), bytes, ..comparison("w", 1, runs) }])
    }

    #[test]
    fn a_roof_rises_with_memory_and_is_flat_at_the_peak_of_all_threads() {
        let ceiling = |name: &str, threads, best| Ceiling {
            name: name.into(),
            path: String::new(),
            threads,
            unit: String::new(),
            best,
            median: best / 2.0,
        };
        let mut ceilings = Ceilings {
            date: String::new(),
            machine: Machine::describe(),
            command: String::new(),
            ceilings: vec![
                ceiling("f32_fma", 1, 1.0),
                ceiling("f32_fma", 2, 1000.0),
                ceiling("read_memory", 2, 10.0),
            ],
        };
        let svg = plot(&record(Some(1e7)), &ceilings).unwrap();
        assert_eq!((svg.matches("<circle").count(), svg.matches("stroke-width").count()), (2, 1));
        // 10 GB/s and 1,000 Gop/s meet at a hundred operations a byte, where both dots lie.
        let axes = Axes::around(&[(100.0, 1e11), (100.0, 5e10), (100.0, 1e12), (1.0, 1e10)]);
        let (x, y) = axes.place((100.0, 1e12));
        assert!(svg.contains(&format!("L{x:.1} {y:.1}")), "{svg}");
        assert!(svg.contains(&format!("cx=\"{x:.1}\"")));
        assert_eq!(plot(&record(None), &ceilings), None);
        // Tiles are drawn where there are any, else pairs.
        for (name, roofs) in [("bf16_dot", 2), ("bf16_tiles", 2), ("int8_dot", 3)] {
            ceilings.ceilings.push(ceiling(name, 2, 2000.0));
            let svg = plot(&record(Some(1e7)), &ceilings).unwrap();
            assert_eq!(svg.matches("stroke-width").count(), roofs, "{name}");
        }
    }
}
