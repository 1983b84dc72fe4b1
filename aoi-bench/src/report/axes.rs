//! The ground of a plot: a frame with both axes logarithmic, a line at every decade.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Room for labels at the left, top, right and bottom.
const ROOM: [f64; 4] = [64.0, 16.0, 190.0, 44.0];
/// Colours told apart by most eyes (Okabe and Ito, and a grey), on a light ground.
pub(super) const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#888888"];

/// Whole decades from left to right and from bottom to top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axes {
    across: (f64, f64),
    up: (f64, f64),
}

impl Axes {
    /// Axes on which every point lies.
    pub(super) fn around(points: &[(f64, f64)]) -> Self {
        Self { across: decades(points.iter().map(|p| p.0)), up: decades(points.iter().map(|p| p.1)) }
    }

    /// The leftmost and the rightmost value.
    pub(super) fn ends(self) -> (f64, f64) {
        (10_f64.powf(self.across.0), 10_f64.powf(self.across.1))
    }

    /// Where a point lies, in pixels from the left and from the top; what lies beyond an end is moved to it.
    pub(super) fn place(self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |v: f64, (low, high): (f64, f64)| ((v.log10() - low) / (high - low)).clamp(0.0, 1.0);
        let (right, down) = (WIDTH - ROOM[0] - ROOM[2], HEIGHT - ROOM[1] - ROOM[3]);
        (ROOM[0] + right * share(x, self.across), HEIGHT - ROOM[3] - down * share(y, self.up))
    }

    /// The start of a picture: lines at the decades, what they stand for, and what the axes are.
    pub(super) fn ground(self, across: &str, up: &str, unit: &str) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
        );
        let (top, bottom, left, right) = (ROOM[1], HEIGHT - ROOM[3], ROOM[0], WIDTH - ROOM[2]);
        for decade in whole(self.across) {
            let (at, label) = (self.place((10_f64.powf(decade), 1.0)).0, bottom + 18.0);
            let _ = writeln!(svg, "<path d=\"M{at:.1} {bottom}V{top}\" stroke=\"#ddd\"/>");
            let _ =
                writeln!(svg, "<text x=\"{at:.1}\" y=\"{label}\" text-anchor=\"middle\">1e{decade}</text>");
        }
        for decade in whole(self.up) {
            let at = self.place((1.0, 10_f64.powf(decade))).1;
            // There is room for a few digits.
            let value =
                if decade.abs() > 4.0 { format!("1e{decade}") } else { 10_f64.powf(decade).to_string() };
            let _ = writeln!(svg, "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/>");
            let (x, y) = (left - 6.0, at + 4.0);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{value}{unit}</text>");
        }
        let (middle, below) = (f64::midpoint(left, right), HEIGHT - 8.0);
        let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{across}</text>");
        let _ = writeln!(svg, "<text x=\"{left}\" y=\"{}\">{up}</text>", top - 4.0);
        svg
    }

    /// A line through points, in order.
    pub(super) fn line(self, points: &[(f64, f64)], colour: &str) -> String {
        let mut path = String::new();
        for (i, point) in points.iter().enumerate() {
            let (x, y) = self.place(*point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n")
    }

    /// A dot with its title, which is shown where the pointer rests.
    pub(super) fn dot(self, point: (f64, f64), colour: &str, title: &str) -> String {
        let (x, y) = self.place(point);
        format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}</title></circle>\n",
            escaped(title)
        )
    }
}

/// Names in their colours, from top to bottom at the right.
pub(super) fn legend(entries: &[(&str, &str)]) -> String {
    let mut svg = String::new();
    for (i, (name, colour)) in entries.iter().enumerate() {
        let (x, y) = (WIDTH - ROOM[2] + 8.0, ROOM[1] + 12.0 + 18.0 * i as f64);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}</text>", escaped(name));
    }
    svg
}

/// Text of a picture, which may hold anything.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Whole decades around the values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .map(f64::log10)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v.floor()), high.max(v.ceil())));
    (low, high.max(low + 1.0))
}

fn whole((low, high): (f64, f64)) -> impl Iterator<Item = f64> {
    (0..32).map(move |i| low + f64::from(i)).take_while(move |d| *d <= high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_are_whole_and_never_none() {
        assert_eq!(decades([3.0].into_iter()), (0.0, 1.0));
        assert_eq!(decades([0.02, 300.0].into_iter()), (-2.0, 3.0));
    }

    #[test]
    fn points_lie_where_their_logarithms_say_and_never_outside() {
        let axes = Axes::around(&[(1.0, 1.0), (100.0, 100.0)]);
        let (low, middle, high) =
            (axes.place((1.0, 1.0)), axes.place((10.0, 10.0)), axes.place((100.0, 100.0)));
        assert_eq!((low.0 + high.0, low.1 + high.1), (2.0 * middle.0, 2.0 * middle.1));
        assert_eq!(axes.place((1e-9, 1e9)), (low.0, high.1));
        assert!(axes.dot((1.0, 1.0), "red", "a<b").contains("a&lt;b"));
    }

    #[test]
    fn labels_fit_beside_the_frame() {
        let svg = Axes::around(&[(1.0, 1e-3), (1.0, 1e11)]).ground("x", "y", " s");
        assert!(
            [">0.001 s<", ">10000 s<", ">1e5 s<", ">1e11 s<"].iter().all(|label| svg.contains(label)),
            "{svg}"
        );
    }
}
