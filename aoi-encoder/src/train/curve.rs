//! The loss of a run as a picture.

use std::fmt::Write;

use super::metrics::Row;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const MARGIN: (f64, f64) = (64.0, 40.0);

/// An SVG of training loss (a line of at most 600 means) and held-out loss (points) over epochs, the loss on a logarithmic axis.
pub(super) fn loss_svg(rows: &[Row]) -> String {
    let bucket = rows.len().div_ceil(600).max(1);
    let training: Vec<(f64, f64)> = rows
        .chunks(bucket)
        .map(|c| (c[c.len() - 1].epoch, c.iter().map(|r| r.loss).sum::<f64>() / c.len() as f64))
        .collect();
    let held_out: Vec<(f64, f64)> =
        rows.iter().filter_map(|r| r.held_out_loss.map(|loss| (r.epoch, loss))).collect();
    let positive = || training.iter().chain(&held_out).map(|p| p.1).filter(|l| *l > 0.0 && l.is_finite());
    let low = positive().fold(f64::INFINITY, f64::min);
    let high = positive().fold(0.0, f64::max);
    let (low, high) = if low < high { (low, high) } else { (0.5 * high.max(1e-9), 2.0 * high.max(1e-9)) };
    let last = rows.last().map_or(1.0, |r| r.epoch).max(1e-9);
    let x = |epoch: f64| MARGIN.0 + (WIDTH - MARGIN.0 - 16.0) * epoch / last;
    let y = |loss: f64| {
        let part = (loss.max(low) / low).ln() / (high / low).ln();
        HEIGHT - MARGIN.1 - (HEIGHT - MARGIN.1 - 24.0) * part
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut add = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "{line}");
    };
    for i in 0..=4 {
        let (loss, epoch) = (low * (high / low).powf(f64::from(i) / 4.0), last * f64::from(i) / 4.0);
        let (row, column) = (y(loss), x(epoch));
        add(format_args!(
            "<line x1=\"{}\" x2=\"{}\" y1=\"{row:.1}\" y2=\"{row:.1}\" stroke=\"#ddd\"/>",
            MARGIN.0,
            WIDTH - 16.0
        ));
        add(format_args!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.3}</text>",
            MARGIN.0 - 6.0,
            row + 4.0
        ));
        add(format_args!(
            "<text x=\"{column:.1}\" y=\"{}\" text-anchor=\"middle\">{epoch:.0}</text>",
            HEIGHT - MARGIN.1 + 18.0
        ));
    }
    let points: Vec<String> = training.iter().map(|(e, l)| format!("{:.1},{:.1}", x(*e), y(*l))).collect();
    add(format_args!("<polyline fill=\"none\" stroke=\"#1f6fb4\" points=\"{}\"/>", points.join(" ")));
    for (epoch, loss) in &held_out {
        add(format_args!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#d4502a\"/>",
            x(*epoch),
            y(*loss)
        ));
    }
    add(format_args!("<text x=\"{}\" y=\"16\" fill=\"#1f6fb4\">training loss</text>", MARGIN.0));
    add(format_args!("<text x=\"{}\" y=\"16\" fill=\"#d4502a\">held-out loss</text>", MARGIN.0 + 110.0));
    add(format_args!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">epoch</text>", WIDTH - 16.0, HEIGHT - 6.0));
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u32, loss: f64, held_out_loss: Option<f64>) -> Row {
        let epoch = f64::from(step);
        Row {
            step: u64::from(step),
            epoch,
            rate: 0.1,
            loss,
            gradient_norm: 1.0,
            images_per_second: 1.0,
            held_out_loss,
        }
    }

    #[test]
    fn lower_losses_lie_lower_and_every_validation_is_a_point() {
        let rows: Vec<Row> =
            (1..=2000).map(|i| row(i, 1.0 / f64::from(i), (i % 500 == 0).then_some(0.5))).collect();
        let svg = loss_svg(&rows);
        assert_eq!(svg.matches("<circle").count(), 4);
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let heights: Vec<f64> =
            points.split(' ').map(|p| p.split_once(',').unwrap().1.parse().unwrap()).collect();
        assert_eq!(heights.len(), 500);
        assert!(heights.windows(2).all(|w| w[1] >= w[0]), "y grows downwards");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn one_step_and_a_constant_loss_are_drawn_too() {
        for rows in [vec![], vec![row(1, 0.3, None)], vec![row(1, 0.0, None), row(2, 0.0, Some(0.0))]] {
            let svg = loss_svg(&rows);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
