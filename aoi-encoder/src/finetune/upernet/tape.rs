//! What the head keeps between forward and backward.

use super::convolution::ConvolutionScratch;
use super::statistics::Sums;
use super::unit::UnitTape;

/// One coarse grid.
#[derive(Debug, Default)]
pub(super) struct PooledTape<T> {
    /// The largest values, \[b * bins * bins, d\], and the rows that they came from.
    pub(super) cells: Vec<T>,
    pub(super) places: Vec<usize>,
    pub(super) unit: UnitTape<T>,
    /// The unit's output on the patches' grid, \[b * t, c\].
    pub(super) large: Vec<T>,
}

/// Everything a backward pass reads, and scratch; made once and used again.
#[derive(Debug, Default)]
pub(in super::super) struct UpernetTape<T> {
    pub(super) lateral: Vec<UnitTape<T>>,
    pub(super) pooled: Vec<PooledTape<T>>,
    pub(super) bottleneck: UnitTape<T>,
    pub(super) smooth: Vec<UnitTape<T>>,
    pub(super) fusion: UnitTape<T>,
    /// The last level beside its coarse grids, \[b * t, d + grids * c\].
    pub(super) joined: Vec<T>,
    /// Every level with those behind it added, \[b * t, c\].
    pub(super) merged: Vec<Vec<T>>,
    /// The smoothed levels side by side, \[b * t, levels * c\].
    pub(super) stacked: Vec<T>,
    pub(super) scratch: ConvolutionScratch<T>,
    /// The gradient on its way, \[b * t, c\].
    pub(super) dy: Vec<T>,
}

impl<T: Default> UpernetTape<T> {
    /// Room for so many levels in front of the last, and coarse grids.
    pub(super) fn shape(&mut self, front: usize, grids: usize) {
        self.lateral.resize_with(front, UnitTape::default);
        self.smooth.resize_with(front, UnitTape::default);
        self.merged.resize_with(front + 1, Vec::new);
        self.pooled.resize_with(grids, PooledTape::default);
    }

    /// Mean and mean square of every column behind every unit's convolution in the last forward pass, in the order of the units:
    /// what can be averaged over passes of as many images.
    pub(in super::super) fn sums(&self) -> Sums {
        let pooled = self.pooled.iter().map(|kept| &kept.unit);
        let units = self.lateral.iter().chain(pooled).chain([&self.bottleneck]).chain(&self.smooth);
        let pairs = units.chain([&self.fusion]).flat_map(|unit| {
            let moments = &unit.moments;
            moments.mean.iter().zip(&moments.variance).map(|(mean, variance)| [*mean, variance + mean * mean])
        });
        pairs.collect()
    }
}
