//! How often the time of the first implementation fits into that of each other one: a dot for the medians, a bar over all pairs of runs.

use std::fmt::Write;

use super::axes::{COLOURS, escaped};
use crate::record::{Comparison, Ratio, Record};

const WIDTH: f64 = 900.0;
const LINE: f64 = 18.0;
/// Room at the left for names, at the right for numbers, above and below for titles.
const LEFT: f64 = 250.0;
const RIGHT: f64 = 150.0;
const ABOVE: f64 = 48.0;
const BELOW: f64 = 44.0;

/// A row: the heading of a comparison, or one implementation in it.
enum Row<'a> {
    Heading(String),
    Other(&'a str, Ratio),
}

/// A plot of every comparison of two implementations or more; none where there is none.
pub(super) fn plot(record: &Record) -> Option<String> {
    let rows: Vec<Row<'_>> = record.comparisons.iter().flat_map(rows).collect();
    let ratios = || rows.iter().filter_map(|row| if let Row::Other(_, r) = row { Some(r) } else { None });
    let scale = Scale::around(ratios().flat_map(|r| [r.low, r.median, r.high]))?;
    let height = ABOVE + LINE * rows.len() as f64 + BELOW;
    let (top, bottom) = (ABOVE, height - BELOW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\">Time over that of the first named: right of 1, the first is faster</text>\n"
    );
    for tick in scale.ticks() {
        let (at, ink) = (scale.place(tick), if tick == 1.0 { "#000" } else { "#ddd" });
        let _ = writeln!(svg, "<path d=\"M{at:.1} {bottom}V{top}\" stroke=\"{ink}\"/>");
        let label = bottom + 16.0;
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{label}\" text-anchor=\"middle\">{tick}</text>");
    }
    for (i, row) in rows.iter().enumerate() {
        let y = top + LINE * (i as f64 + 0.5);
        let base = y + 4.0;
        match row {
            Row::Heading(text) => {
                let text = escaped(text);
                let _ = writeln!(svg, "<text x=\"10\" y=\"{base:.1}\" font-weight=\"bold\">{text}</text>");
            }
            Row::Other(name, Ratio { median, low, high }) => {
                let colour = COLOURS[usize::from(!name.starts_with("aoi"))];
                let (label, end) = (LEFT - 10.0, WIDTH - RIGHT + 12.0);
                let [from, at, to] = [*low, *median, *high].map(|r| scale.place(r));
                let _ = writeln!(
                    svg,
                    "<text x=\"{label}\" y=\"{base:.1}\" text-anchor=\"end\">{}</text>\n\
                     <path d=\"M{from:.1} {y:.1}H{to:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
                     <circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>\n\
                     <text x=\"{end}\" y=\"{base:.1}\">{median:.2} ({low:.2}-{high:.2})</text>",
                    escaped(name)
                );
            }
        }
    }
    Some(svg + "</svg>\n")
}

fn rows(comparison: &Comparison) -> Vec<Row<'_>> {
    let Comparison { work, size, runs, .. } = comparison;
    let [first, others @ ..] = runs.as_slice() else { return Vec::new() };
    if others.is_empty() {
        return Vec::new();
    }
    let heading = Row::Heading(format!("{work}, {size}: {}", first.name));
    let others = others.iter().map(|r| Row::Other(&r.name, Ratio::of(&r.seconds, &first.seconds)));
    std::iter::once(heading).chain(others).collect()
}

/// Ratios from left to right, logarithmic, from a round number to another; 1 is among them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
}

/// Round numbers: 1, 2 and 5 of the decades that a ratio could lie in.
fn round() -> impl DoubleEndedIterator<Item = f64> {
    (-6..=8).flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(decade)))
}

impl Scale {
    fn around(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (least, most) = values.fold((f64::INFINITY, 0.0), |(a, b), v| (v.min(a), v.max(b)));
        let low = round().rev().find(|r| *r <= least.min(1.0))?;
        let high = round().find(|r| *r >= most.max(1.0) && *r > low)?;
        (most > 0.0).then_some(Self { low, high })
    }

    fn place(self, ratio: f64) -> f64 {
        let share = (ratio / self.low).ln() / (self.high / self.low).ln();
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Every round number; only whole decades where that would be too many.
    fn ticks(self) -> impl Iterator<Item = f64> {
        let inside = move || round().filter(move |r| *r >= self.low && *r <= self.high);
        let many = inside().count() > 12;
        inside().filter(move |r| !many || r.log10().fract().abs() < 1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{comparison, record, runs};
    use super::*;

    #[test]
    fn the_scale_holds_one_and_every_value_between_round_numbers() {
        let scale = Scale::around([0.7, 3.0].into_iter()).unwrap();
        assert_eq!(scale, Scale { low: 0.5, high: 5.0 });
        assert_eq!(scale.ticks().collect::<Vec<_>>(), [0.5, 1.0, 2.0, 5.0]);
        assert_eq!(Scale::around([7.0].into_iter()).unwrap(), Scale { low: 1.0, high: 10.0 });
        assert_eq!(Scale::around([1.0].into_iter()).unwrap(), Scale { low: 1.0, high: 2.0 });
        let wide = Scale::around([0.01, 9000.0].into_iter()).unwrap();
        assert_eq!(
            wide.ticks().map(f64::log10).map(f64::round).collect::<Vec<_>>(),
            [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
        );
        assert_eq!(Scale::around(std::iter::empty()), None);
    }

    #[test]
    fn each_other_implementation_is_a_dot_on_its_interval() {
        let mut record = record(vec![comparison("alone", 5, vec![runs("aoi", &[1.0], &[])])]);
        assert_eq!(plot(&record), None);
        let both = vec![runs("aoi/f32", &[1.0, 1.0, 2.0], &[]), runs("a<b", &[2.0, 3.0, 8.0], &[])];
        record.comparisons.push(comparison("knn", 5, both));
        let svg = plot(&record).unwrap();
        assert!(svg.contains(">knn, 5: aoi/f32<") && !svg.contains("alone"), "{svg}");
        assert!(svg.contains(">a&lt;b<") && svg.contains(">3.00 (2.00-4.00)<"), "{svg}");
        let scale = Scale { low: 1.0, high: 5.0 };
        assert!(svg.contains(&format!("cx=\"{:.1}\"", scale.place(3.0))), "{svg}");
        assert!(svg.contains(&format!("M{:.1} ", scale.place(2.0))), "{svg}");
        assert!(svg.contains(&format!("H{:.1}\"", scale.place(4.0))), "{svg}");
    }
}
