//! A head that looks at several blocks and several scales.
//!
//! The last blocks of the encoder are the levels of a pyramid: each is brought to the same width (`lateral`); the last level is joined with the
//! largest values of its own cells on coarse grids (`pooled`), so that every patch knows of the whole picture; then each level is added to the one before it, smoothed (`smooth`), and
//! all are fused. Blocks of a plain transformer share one grid: between levels nothing is enlarged, only the coarse cells are.
//!
//! # Source
//! Xiao et al. 2018, arXiv 1807.10221, from which it departs in:
//! - **Statistics of the batch norms in training**: over the rows of one group of crops (`upernet.group`; the last of a batch may be smaller), not over the whole batch,
//!   as the authors' code has it by synchronising devices. A group stays on one thread, so nothing depends on their number. Gradients go through the statistics in both.
//! - **In prediction**: no moving means are followed through the steps. Statistics are taken anew under the weights that are validated or written, over 64 training crops or as many
//!   more as fill the last group, cut in groups as in training, not varied; means and mean squares of the groups are averaged, and the file keeps what comes of them. The
//!   variance is the mean square, where moving ones are usually corrected by n / (n - 1).
//! - **Pooling**: by maxima on grids of 2, 4, 8 and 16 cells, as for the inspection pictures that such a head was published with, not by means of 1, 2, 3 and 6.
//! - **Levels**: blocks of one transformer on one grid, not stages of ever coarser ones. Their logits are of patches; one task, no dropout.

mod batch_norm;
mod convolution;
mod pool;
mod statistics;
mod tape;
mod unit;

use self::batch_norm::Moments;
use self::pool::MaxPool;
pub(super) use self::statistics::{Sums, pooled};
pub(super) use self::tape::UpernetTape;
use self::unit::Unit;
use super::enlarge::Enlarge;
use crate::gradient::{Linear, Scalar, fit};
use crate::{Config, Error, Grid, Precision, Result, Role, Table};

/// Blocks that are looked at; fewer where the encoder has fewer.
const LEVELS: usize = 4;
/// Cells along one side of the coarse grids.
const BINS: [usize; 4] = [2, 4, 8, 16];
/// Channels of its maps at most.
const WIDEST: usize = 1 << 12;

/// The head behind the final norm of the last blocks, up to one logit a patch and class.
#[derive(Debug, Clone)]
pub(super) struct Upernet {
    /// Of every level but the last, from the front.
    lateral: Vec<Unit>,
    pooled: Vec<(MaxPool, Enlarge, Unit)>,
    bottleneck: Unit,
    /// Of every level but the last.
    smooth: Vec<Unit>,
    fusion: Unit,
    classifier: Linear,
    grid: Grid,
    /// Numbers a token of the encoder, and a pixel here.
    d: usize,
    width: usize,
}

/// The blocks that are the levels of the pyramid.
pub(super) fn levels(config: &Config) -> Vec<usize> {
    (config.depth.saturating_sub(LEVELS)..config.depth).collect()
}

/// Units of the head, in the order of their statistics.
pub(super) fn units(config: &Config) -> usize {
    2 * (levels(config).len() - 1) + BINS.len() + 2
}

/// Adds the head's tensors.
///
/// # Errors
/// [`Error::Config`] for an impossible width, and when the parameters cannot be counted.
pub(super) fn push(table: &mut Table, config: &Config, classes: usize, width: usize) -> Result<()> {
    if !(1..=WIDEST).contains(&width) {
        return Err(Error::config("upernet.width", format!("1 to {WIDEST}"), &width));
    }
    let (d, levels) = (config.width, levels(config).len());
    for level in 0..levels - 1 {
        Unit::push(table, &format!("head.lateral.{level}"), 1, (d, width))?;
    }
    for bins in BINS {
        Unit::push(table, &format!("head.pooled.{bins}"), 1, (d, width))?;
    }
    Unit::push(table, "head.bottleneck", 3, (d + BINS.len() * width, width))?;
    for level in 0..levels - 1 {
        Unit::push(table, &format!("head.smooth.{level}"), 3, (width, width))?;
    }
    Unit::push(table, "head.fusion", 3, (levels * width, width))?;
    table.push(None, Role::Matrix, "head.weight", &[classes, width])?;
    table.push(None, Role::Bias, "head.bias", &[classes])
}

impl Upernet {
    /// The head that [`push`] added, for pictures of `grid`.
    pub(super) fn new(table: &Table, config: &Config, width: usize, grid: Grid) -> Self {
        let levels = levels(config).len();
        let unit = |name: String| Unit::new(table, &name);
        let pooled = |bins: usize| {
            let pool = MaxPool::new(grid, bins);
            (pool, Enlarge::new(pool.cells(), grid), unit(format!("head.pooled.{bins}")))
        };
        Self {
            lateral: (0..levels - 1).map(|level| unit(format!("head.lateral.{level}"))).collect(),
            pooled: BINS.into_iter().map(pooled).collect(),
            bottleneck: unit("head.bottleneck".into()),
            smooth: (0..levels - 1).map(|level| unit(format!("head.smooth.{level}"))).collect(),
            fusion: unit("head.fusion".into()),
            classifier: Linear::new(table, "head"),
            grid,
            d: config.width,
            width,
        }
    }

    /// Makes its products of such numbers.
    pub(super) fn set_precision(&mut self, precision: Precision) {
        let pooled = self.pooled.iter_mut().map(|(_, _, unit)| unit);
        let single = [&mut self.bottleneck, &mut self.fusion];
        for unit in self.lateral.iter_mut().chain(pooled).chain(&mut self.smooth).chain(single) {
            unit.set_precision(precision);
        }
        self.classifier.set_precision(precision);
    }

    /// Units, in the order of their statistics.
    pub(super) fn units(&self) -> usize {
        2 * self.lateral.len() + self.pooled.len() + 2
    }

    /// From the levels to logits. Statistics of the norms are `given`, \[units, 2, c\], or those of the images at hand.
    ///
    /// # Shapes
    /// `levels` \[b * t, d\] each -> `small` \[b * t, classes\].
    pub(super) fn forward<T: Scalar>(
        &self,
        p: &[T],
        levels: &[Vec<T>],
        given: Option<&[f32]>,
        tape: &mut UpernetTape<T>,
        small: &mut [T],
    ) {
        let given = given.map(|all| self.moments(all));
        let given = |unit: usize| given.as_ref().map(|all| &all[unit]);
        let (d, c, grid, front) = (self.d, self.width, self.grid, self.lateral.len());
        let last = &levels[front];
        let n = last.len() / d;
        tape.shape(front, self.pooled.len());
        let UpernetTape {
            lateral, pooled, bottleneck, smooth, fusion, joined, merged, stacked, scratch, ..
        } = tape;

        let across = d + self.pooled.len() * c;
        let joined = fit(joined, n * across);
        paste(joined, (across, 0), last, d);
        for (i, ((pool, enlarge, unit), kept)) in self.pooled.iter().zip(pooled).enumerate() {
            pool.forward(d, last, (&mut kept.cells, &mut kept.places));
            unit.forward(p, (&kept.cells, pool.cells()), given(front + i), &mut kept.unit, scratch);
            let large = fit(&mut kept.large, n * c);
            for (small, large) in
                kept.unit.y.chunks_exact(pool.cells().len() * c).zip(large.chunks_exact_mut(grid.len() * c))
            {
                enlarge.forward(c, small, large);
            }
            paste(joined, (across, d + i * c), large, c);
        }
        let next = front + self.pooled.len();
        self.bottleneck.forward(p, (joined, grid), given(next), bottleneck, scratch);

        fit(&mut merged[front], n * c).copy_from_slice(&bottleneck.y);
        for level in (0..front).rev() {
            self.lateral[level].forward(
                p,
                (&levels[level], grid),
                given(level),
                &mut lateral[level],
                scratch,
            );
            let [here, behind] = &mut merged[level..level + 2] else { unreachable!("a level behind") };
            let sums = fit(here, n * c).iter_mut().zip(lateral[level].y.iter().zip(&*behind));
            sums.for_each(|(sum, (&own, &deeper))| *sum = own + deeper);
        }
        let across = (front + 1) * c;
        let stacked = fit(stacked, n * across);
        for level in 0..front {
            let kept = &mut smooth[level];
            self.smooth[level].forward(p, (&merged[level], grid), given(next + 1 + level), kept, scratch);
            paste(stacked, (across, level * c), &kept.y, c);
        }
        paste(stacked, (across, front * c), &merged[front], c);
        self.fusion.forward(p, (stacked, grid), given(self.units() - 1), fusion, scratch);
        self.classifier.forward(p, &fusion.y, small);
    }

    /// Back along the same way. A sum of two levels hands its gradient to both, so it runs from the first level to the last; a row
    /// of maps side by side hands every map its own columns.
    ///
    /// # Shapes
    /// `dsmall` \[b * t, classes\] -> `dlevels`, \[b * t, d\] each, replaced, where they are wanted.
    #[expect(clippy::many_single_char_names, reason = "the letters of the formulas, as in its units")]
    pub(super) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        levels: &[Vec<T>],
        dsmall: &[T],
        tape: &mut UpernetTape<T>,
        mut dlevels: Option<&mut Vec<Vec<T>>>,
    ) {
        let (d, c, grid, front) = (self.d, self.width, self.grid, self.lateral.len());
        let n = levels[front].len() / d;
        let UpernetTape { lateral, pooled, bottleneck, smooth, fusion, joined, merged, stacked, scratch, dy } =
            tape;
        if let Some(dlevels) = dlevels.as_mut() {
            dlevels.resize_with(front + 1, Vec::new);
            dlevels.iter_mut().for_each(|level| fit(level, n * d).fill(T::default()));
        }
        let mut dlevel = |level: usize| dlevels.as_mut().map(|all| std::mem::take(&mut all[level]));
        let mut found = Vec::with_capacity(front + 1);

        let dfused = fit(dy, n * c);
        self.classifier.backward(p, g, &fusion.y, dsmall, Some(dfused));
        let mut dstacked = vec![T::default(); stacked.len()];
        let across = (front + 1) * c;
        self.fusion.backward((p, &mut *g), (stacked, grid), (fusion, dfused), Some(&mut dstacked), scratch);

        let mut dmerged = vec![T::default(); n * c];
        for level in 0..front {
            cut(&dstacked, (across, level * c), dfused, c);
            let input = (&merged[level][..], grid);
            self.smooth[level].backward(
                (p, &mut *g),
                input,
                (&smooth[level], dfused),
                Some(&mut dmerged),
                scratch,
            );
            dfused.copy_from_slice(&dmerged);
            let mut dx = dlevel(level);
            let input = (&levels[level][..], grid);
            self.lateral[level].backward(
                (p, &mut *g),
                input,
                (&lateral[level], dfused),
                dx.as_deref_mut(),
                scratch,
            );
            found.push(dx);
        }
        cut(&dstacked, (across, front * c), dfused, c);
        dfused.iter_mut().zip(&dmerged).for_each(|(dy, &behind)| *dy += behind);

        let across = d + self.pooled.len() * c;
        let mut djoined = vec![T::default(); joined.len()];
        self.bottleneck.backward(
            (p, &mut *g),
            (joined, grid),
            (bottleneck, dfused),
            Some(&mut djoined),
            scratch,
        );
        let mut dlast = dlevel(front);
        if let Some(dlast) = &mut dlast {
            cut(&djoined, (across, 0), dlast, d);
        }
        for (i, ((pool, enlarge, unit), kept)) in self.pooled.iter().zip(pooled).enumerate() {
            cut(&djoined, (across, d + i * c), dfused, c);
            let mut dcells = vec![T::default(); kept.unit.y.len()];
            for (large, small) in
                dfused.chunks_exact(grid.len() * c).zip(dcells.chunks_exact_mut(pool.cells().len() * c))
            {
                enlarge.backward(c, large, small);
            }
            let mut dpooled = dlast.as_ref().map(|_| vec![T::default(); kept.cells.len()]);
            let input = (&kept.cells[..], pool.cells());
            unit.backward((p, &mut *g), input, (&kept.unit, &mut dcells), dpooled.as_deref_mut(), scratch);
            if let (Some(dlast), Some(dpooled)) = (&mut dlast, dpooled) {
                MaxPool::backward(d, &kept.places, &dpooled, dlast);
            }
        }
        found.push(dlast);
        if let Some(dlevels) = dlevels {
            dlevels.iter_mut().zip(found).for_each(|(level, found)| *level = found.unwrap_or_default());
        }
    }

    /// Means and variances of all units from one list, \[units, 2, c\].
    fn moments(&self, all: &[f32]) -> Vec<Moments> {
        let numbers = |part: &[f32]| part.iter().copied().map(f64::from).collect();
        all.chunks_exact(2 * self.width)
            .map(|unit| {
                let (mean, variance) = unit.split_at(self.width);
                Moments { mean: numbers(mean), variance: numbers(variance) }
            })
            .collect()
    }
}

/// Writes rows of `c` entries into columns from `column` on of rows of `across`.
fn paste<T: Scalar>(target: &mut [T], (across, column): (usize, usize), rows: &[T], c: usize) {
    for (target, row) in target.chunks_exact_mut(across).zip(rows.chunks_exact(c)) {
        target[column..column + c].copy_from_slice(row);
    }
}

/// The columns that [`paste`] wrote.
fn cut<T: Scalar>(source: &[T], (across, column): (usize, usize), rows: &mut [T], c: usize) {
    for (source, row) in source.chunks_exact(across).zip(rows.chunks_exact_mut(c)) {
        row.copy_from_slice(&source[column..column + c]);
    }
}
