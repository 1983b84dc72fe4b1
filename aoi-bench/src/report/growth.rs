//! Plots of cost against size, both axes logarithmic: a straight line of slope one is linear growth.

use std::fmt::Write;

use crate::record::{Record, median};

/// Size and median seconds of one implementation.
type Curve<'a> = (&'a str, Vec<(f64, f64)>);

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Room for labels at the left, top, right and bottom.
const ROOM: [f64; 4] = [64.0, 16.0, 150.0, 44.0];
/// Colours told apart by most eyes (Okabe and Ito), on a light ground.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// One SVG for each piece of work that was measured at two sizes or more.
pub(super) fn plots(record: &Record) -> Vec<(String, String)> {
    let mut works: Vec<&str> = record.comparisons.iter().map(|c| c.work.as_str()).collect();
    works.dedup();
    let curves = |work: &str| -> Vec<Curve<'_>> {
        let mut curves: Vec<Curve<'_>> = Vec::new();
        for c in record.comparisons.iter().filter(|c| c.work == work) {
            for run in &c.runs {
                let point = (c.size as f64, median(&run.seconds));
                match curves.iter_mut().find(|(name, _)| *name == run.name) {
                    Some((_, points)) => points.push(point),
                    None => curves.push((&run.name, vec![point])),
                }
            }
        }
        curves.retain(|(_, points)| points.len() > 1);
        curves
    };
    works
        .into_iter()
        .map(|work| (work.to_owned(), curves(work)))
        .filter(|(_, curves)| !curves.is_empty())
        .map(|(work, curves)| (work, plot(&curves)))
        .collect()
}

fn plot(curves: &[Curve<'_>]) -> String {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let (left, right) = decades(points().map(|p| p.0));
    let (bottom, top) = decades(points().map(|p| p.1));
    let x = |size: f64| ROOM[0] + (size.log10() - left) / (right - left) * (WIDTH - ROOM[0] - ROOM[2]);
    let y = |s: f64| HEIGHT - ROOM[3] - (s.log10() - bottom) / (top - bottom) * (HEIGHT - ROOM[1] - ROOM[3]);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    for decade in whole(left, right) {
        let at = x(10_f64.powf(decade));
        let (low, high, label) = (HEIGHT - ROOM[3], ROOM[1], HEIGHT - ROOM[3] + 18.0);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {low}V{high}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{label}\" text-anchor=\"middle\">1e{decade}</text>");
    }
    for decade in whole(bottom, top) {
        let at = y(10_f64.powf(decade));
        let (low, high) = (ROOM[0], WIDTH - ROOM[2]);
        let _ = writeln!(svg, "<path d=\"M{low} {at:.1}H{high}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{} s</text>",
            low - 6.0,
            at + 4.0,
            10_f64.powf(decade)
        );
    }
    for ((_, points), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let mut line = String::new();
        for (i, (size, seconds)) in points.iter().enumerate() {
            let (px, py) = (x(*size), y(*seconds));
            let _ = write!(line, "{}{px:.1} {py:.1}", if i == 0 { "M" } else { "L" });
            let _ = writeln!(svg, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let _ = writeln!(svg, "<path d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
    }
    // The legend is ordered as the curves end, slowest on top, so that labels and lines correspond.
    let mut ends: Vec<(&str, &str, f64)> = curves
        .iter()
        .zip(COLOURS.iter().cycle())
        .map(|((name, points), colour)| (*name, *colour, points.last().map_or(0.0, |p| p.1)))
        .collect();
    ends.sort_by(|a, b| b.2.total_cmp(&a.2));
    for (i, (name, colour, _)) in ends.iter().enumerate() {
        let (at, label) = (WIDTH - ROOM[2] + 8.0, ROOM[1] + 12.0 + 18.0 * i as f64);
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(svg, "<text x=\"{at}\" y=\"{label}\" fill=\"{colour}\">{name}</text>");
    }
    svg + "</svg>\n"
}

/// Whole decades around the values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .map(f64::log10)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v.floor()), high.max(v.ceil())));
    (low, high.max(low + 1.0))
}

fn whole(low: f64, high: f64) -> impl Iterator<Item = f64> {
    (0..32).map(move |i| low + f64::from(i)).take_while(move |d| *d <= high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_lie_inside_the_picture_and_are_named() {
        let svg = plot(&[("a<b", vec![(1e5, 0.1), (1e6, 1.1), (1e7, 12.0)])]);
        assert!(svg.contains("a&lt;b") && svg.matches("<circle").count() == 3);
        for part in svg.split("cx=\"").skip(1) {
            let at: f64 = part.split('"').next().unwrap().parse().unwrap();
            assert!((0.0..=WIDTH).contains(&at));
        }
    }

    #[test]
    fn one_size_makes_no_plot() {
        assert_eq!(decades([3.0].into_iter()), (0.0, 1.0));
    }
}
