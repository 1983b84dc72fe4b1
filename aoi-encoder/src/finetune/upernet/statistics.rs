//! Statistics of the norms for prediction, from several passes over images.

/// Mean and mean square of every column of every norm, in the order of the units, of one pass.
pub(in super::super) type Sums = Vec<[f64; 2]>;

/// Mean and variance of all rows of passes over equally many images, \[units, 2, width\]: means and mean squares are averaged, variances made of these,
/// so that what differs between passes counts too.
///
/// # Panics
/// When there is no pass: a bug of the caller inside this crate.
#[expect(clippy::cast_possible_truncation, reason = "statistics are kept in f32")]
pub(in super::super) fn pooled(passes: &[Sums], width: usize) -> Vec<f32> {
    let mean = |column: usize, which: usize| {
        passes.iter().map(|sums| sums[column][which]).sum::<f64>() / passes.len() as f64
    };
    let unit = |first: usize| {
        let columns = first..first + width;
        let variance = |column| (mean(column, 1) - mean(column, 0) * mean(column, 0)).max(0.0) as f32;
        let means = columns.clone().map(|column| mean(column, 0) as f32);
        means.chain(columns.map(variance)).collect::<Vec<f32>>()
    };
    (0..passes[0].len()).step_by(width).flat_map(unit).collect()
}

#[cfg(test)]
mod tests {
    use aoi_testing::{Seeded, assert_all_close};

    use super::super::{Upernet, UpernetTape, levels, push};
    use super::*;
    use crate::{Config, Grid, Params, Role, Table};

    #[test]
    fn statistics_of_a_pass_give_its_output_again_and_two_passes_are_put_together() {
        let config = Config { width: 6, depth: 3, grid: Grid { rows: 3, columns: 4 }, ..Config::paper() };
        let (classes, width, t) = (2, 5, 12);
        let mut table = Table::default();
        push(&mut table, &config, classes, width).unwrap();
        let mut seeded = Seeded::new(9);
        let mut params = Params::<f64>::zeros(std::sync::Arc::new(table.clone()));
        for tensor in table.tensors() {
            let (centre, spread) = if tensor.role == Role::Norm { (1.0, 0.2) } else { (0.0, 0.4) };
            params.get_mut(&tensor.name).iter_mut().for_each(|v| *v = centre + spread * seeded.normal());
        }
        let head = Upernet::new(&table, &config, width, config.grid);
        let mut images = |b: usize| -> Vec<Vec<f64>> {
            levels(&config).iter().map(|_| (0..b * t * 6).map(|_| 2.0 + seeded.normal()).collect()).collect()
        };
        let run = |images: &[Vec<f64>], given: Option<&[f32]>| {
            let (mut tape, mut small) = (UpernetTape::default(), vec![0.0; images[0].len() / 6 * classes]);
            head.forward(params.values(), images, given, &mut tape, &mut small);
            (small, tape.sums())
        };
        let (one, other) = (images(2), images(2));
        let (small, sums) = run(&one, None);
        let statistics = pooled(std::slice::from_ref(&sums), width);
        assert_eq!(statistics.len(), head.units() * 2 * width);
        // Statistics are rounded to f32.
        assert_all_close(&run(&one, Some(&statistics)).0, &small, 1e-5, 1e-5);

        // The first unit reads the images themselves: its statistics over both passes are those of one pass over all images.
        let both: Vec<Vec<f64>> = one.iter().zip(&other).map(|(a, b)| [&a[..], &b[..]].concat()).collect();
        let together = pooled(&[run(&both, None).1], width);
        let parts = pooled(&[sums, run(&other, None).1], width);
        assert_all_close(&parts[..2 * width], &together[..2 * width], 1e-6, 1e-6);
        assert!(statistics[..2 * width] != together[..2 * width], "the passes differ");
    }
}
