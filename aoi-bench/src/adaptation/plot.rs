//! Mean `IoU` of every encoder and way as points with intervals.

use std::fmt::Write;

use super::outcome::{Cell, Comparison};

const WIDTH: f64 = 760.0;
const LINE: f64 = 20.0;
/// Room for labels at the left, and around.
const LEFT: f64 = 360.0;
const ROOM: f64 = 30.0;
/// Colours told apart by most eyes (Okabe and Ito), one a way.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];

/// The file of a setting.
pub(super) fn file(setting: &str) -> String {
    format!("adaptation-{}.svg", setting.replace(' ', "-"))
}

/// One line a cell: a dot for the mean, a bar for its interval, a small circle for each seed.
pub(super) fn svg(comparison: &Comparison, setting: &str) -> String {
    let cells: Vec<&Cell> = comparison.cells.iter().filter(|c| c.setting == setting).collect();
    let height = 2.0 * ROOM + LINE * cells.len() as f64;
    let x = |iou: f64| LEFT + iou.clamp(0.0, 1.0) * (WIDTH - LEFT - ROOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{ROOM}\" y=\"20\">Mean IoU, {setting}</text>\n"
    );
    for tick in 0..=10 {
        let (at, low) = (x(f64::from(tick) / 10.0), height - ROOM);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {ROOM}V{low}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{:.1}</text>",
            low + 16.0,
            f64::from(tick) / 10.0
        );
    }
    for (i, cell) in cells.iter().enumerate() {
        let y = ROOM + LINE * (i as f64 + 0.5);
        let way = super::ALL_WAYS.iter().position(|w| *w == cell.way).unwrap_or(0);
        let (colour, label) = (COLOURS[way % COLOURS.len()], escaped(&format!("{}: {}", cell.row, cell.way)));
        let found = cell.mean_iou();
        let (low, high) = found.ends();
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 10.0,
            y + 4.0
        );
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            x(low),
            x(high)
        );
        let _ =
            writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>", x(found.mean));
        for outcome in &cell.outcomes {
            let at = x(outcome.mean_iou);
            let _ = writeln!(
                svg,
                "<circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"#fff\" stroke=\"{colour}\"/>"
            );
        }
    }
    svg + "</svg>\n"
}

/// A file's name may hold anything.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
