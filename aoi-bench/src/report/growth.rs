//! Plots of cost against size, both axes logarithmic: a straight line of slope one is linear growth.

use super::axes::{Axes, COLOURS, legend};
use crate::record::{Record, median};

/// Size and median seconds of one implementation.
pub(super) type Curve<'a> = (&'a str, Vec<(f64, f64)>);

/// One SVG for each piece of work that was measured at two sizes or more.
pub(super) fn plots(record: &Record) -> Vec<(String, String)> {
    // Once each, in the order of the record, where the sizes of one work need not stand together.
    let mut works: Vec<&str> = Vec::new();
    for comparison in &record.comparisons {
        if !works.contains(&comparison.work.as_str()) {
            works.push(&comparison.work);
        }
    }
    let measured = |work: &str| -> Vec<Curve<'_>> {
        let fitting = record.comparisons.iter().filter(|c| c.work == work);
        let runs = fitting.flat_map(|c| c.runs.iter().map(|run| (c.size as f64, run)));
        curves(runs.map(|(size, run)| (run.name.as_str(), (size, median(&run.seconds)))))
    };
    works
        .into_iter()
        .map(|work| (work.to_owned(), measured(work)))
        .filter(|(_, curves)| !curves.is_empty())
        .map(|(work, curves)| (work, plot(&curves)))
        .collect()
}

/// Points by name, in the order in which they came; a name with a single point is no curve.
pub(super) fn curves<'a>(points: impl Iterator<Item = (&'a str, (f64, f64))>) -> Vec<Curve<'a>> {
    let mut curves: Vec<Curve<'a>> = Vec::new();
    for (name, point) in points {
        match curves.iter_mut().find(|(known, _)| *known == name) {
            Some((_, points)) => points.push(point),
            None => curves.push((name, vec![point])),
        }
    }
    curves.retain(|(_, points)| points.len() > 1);
    curves
}

/// Cost against size.
pub(super) fn plot(curves: &[Curve<'_>]) -> String {
    let points: Vec<_> = curves.iter().flat_map(|(_, points)| points).copied().collect();
    let axes = Axes::around(&points);
    let mut svg = axes.ground("size", "time", " s");
    let coloured = || curves.iter().zip(COLOURS.iter().cycle());
    for ((name, points), colour) in coloured() {
        for point in points {
            svg += &axes.dot(*point, colour, &format!("{name}, {}: {:.4} s", point.0, point.1));
        }
        svg += &axes.line(points, colour);
    }
    // The legend is ordered as the curves end, slowest on top, so that labels and lines correspond.
    let mut ends: Vec<_> = coloured()
        .map(|((name, points), colour)| (points.last().map_or(0.0, |p| p.1), *name, *colour))
        .collect();
    ends.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<_> = ends.iter().map(|(_, name, colour)| (*name, *colour)).collect();
    svg + &legend(&names) + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_drawn_and_named_slowest_on_top() {
        let svg = plot(&[
            ("a<b", vec![(1e5, 0.1), (1e6, 1.1), (1e7, 12.0)]),
            ("slow", vec![(1e5, 1.0), (1e7, 99.0)]),
        ]);
        assert_eq!(svg.matches("<circle").count(), 5);
        assert!(svg.find(">slow<").unwrap() < svg.find(">a&lt;b<").unwrap());
    }
}
