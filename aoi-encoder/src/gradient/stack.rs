//! Blocks one after the other.

use super::Scalar;
use super::block::{Block, Kept, Scratch};
use super::scalar::fit;
use crate::{Config, Precision, Table};

/// All blocks of an encoder or a decoder, without the norm behind them.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    blocks: Vec<Block>,
}

/// What the forward pass leaves for the backward; used again for the next images.
#[derive(Debug, Default)]
pub(crate) struct Tape<T> {
    /// Every block's input, and the last one's output, \[b * t, d\] each.
    states: Vec<Vec<T>>,
    /// One a block, or a single one that each block fills again in the backward.
    kept: Vec<Kept<T>>,
    scratch: Scratch<T>,
    recompute: bool,
}

impl<T: Scalar> Tape<T> {
    /// A tape; with `recompute` it keeps only every block's input, for a third more work.
    pub(crate) fn new(recompute: bool) -> Self {
        Self { recompute, ..Self::default() }
    }

    /// The tokens behind block `block`.
    pub(crate) fn behind(&self, block: usize) -> &[T] {
        &self.states[block + 1]
    }

    /// The tokens behind the last block.
    pub(crate) fn last(&self) -> &[T] {
        self.states.last().map_or(&[], Vec::as_slice)
    }
}

impl Stack {
    /// The blocks whose tensors start with `prefix` and `block.<i>`.
    pub(crate) fn new(table: &Table, prefix: &str, config: &Config) -> Self {
        let block = |i| Block::new(table, &format!("{prefix}block.{i}"), config);
        Self { blocks: (0..config.depth).map(block).collect() }
    }

    /// Makes its products of such numbers.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.blocks.iter_mut().for_each(|block| block.set_precision(precision));
    }

    /// Takes the tokens through every block, onto the tape.
    ///
    /// # Shapes
    /// `x` \[b * t, d\].
    pub(crate) fn forward<T: Scalar>(&self, p: &[T], tokens: usize, x: &[T], tape: &mut Tape<T>) {
        let depth = self.blocks.len();
        tape.states.resize_with(depth + 1, Vec::new);
        tape.kept.resize_with(if tape.recompute { 1 } else { depth }, Kept::default);
        fit(&mut tape.states[0], x.len()).copy_from_slice(x);
        for (i, block) in self.blocks.iter().enumerate() {
            let [before, after] = &mut tape.states[i..i + 2] else { unreachable!("depth + 1 states") };
            let after = fit(after, x.len());
            after.copy_from_slice(before);
            let kept = if tape.recompute { 0 } else { i };
            block.forward(p, tokens, after, &mut tape.kept[kept], &mut tape.scratch);
        }
    }

    /// From the gradient behind the last block to that before the first. `more` are blocks and gradients of the tokens behind them that come
    /// from elsewhere: a sum of gradients, since the tokens went both ways.
    ///
    /// # Shapes
    /// `dx` \[b * t, d\], in place; those of `more` \[b * t, d\].
    pub(crate) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        tokens: usize,
        tape: &mut Tape<T>,
        (dx, more): (&mut [T], &[(usize, Vec<T>)]),
    ) {
        let Tape { states, kept, scratch, recompute } = tape;
        for (i, block) in self.blocks.iter().enumerate().rev() {
            for (_, from) in more.iter().filter(|(behind, _)| *behind == i) {
                dx.iter_mut().zip(from).for_each(|(dx, &from)| *dx += from);
            }
            let kept = if *recompute {
                // The output lands in the state behind the block, which nobody reads any more.
                let [before, after] = &mut states[i..i + 2] else { unreachable!("depth + 1 states") };
                after.copy_from_slice(before);
                block.forward(p, tokens, after, &mut kept[0], scratch);
                &kept[0]
            } else {
                &kept[i]
            };
            block.backward((p, &mut *g), tokens, (&states[i], kept), dx, scratch);
        }
    }
}
