//! Attention on tiles.

use super::projected::HeadLayout;
use crate::kernel::{
    BLOCK, Buffer, Halves, Instructions, SIDE, Session, Sums, TileColumns, TileRows, softmax_rows, stride,
};

/// What queries are multiplied by, in the weights that make them: 1 / sqrt(width) of a head, and 1 / ln 2, since the softmax takes powers of two.
pub(super) fn query_scale(width: usize) -> f32 {
    std::f32::consts::LOG2_E / (width as f32).sqrt()
}

/// `softmax(q k^T / sqrt(d / h)) v` of one head for up to 32 queries at a time.
///
/// Queries are the rows and keys the columns of one product; its rows, through softmax and cut into slices, are the rows of the second, whose columns
/// are those of the values. Only 32 x t scores exist.
#[derive(Debug, Default)]
pub(crate) struct TileAttention {
    queries: TileRows,
    keys: TileColumns,
    values: TileColumns,
    scores: Buffer,
    weights: TileRows,
}

impl TileAttention {
    /// Makes room for so many queries to so many tokens.
    pub(crate) fn resize(&mut self, (queries, tokens): (usize, usize), layout: HeadLayout) {
        let (width, slices) = (layout.padded(), layout.slices);
        self.queries.resize(queries, width, slices);
        self.keys.resize(tokens, width, slices);
        self.values.resize(width, tokens, slices);
        self.scores.resize(BLOCK * stride(tokens));
        self.weights.resize(BLOCK, tokens, slices);
    }

    /// All heads for the queries `first..first + n` of an image; row i of what comes of them is row `done + i` of `mixed`.
    ///
    /// # Shapes
    /// `rows` \[t\] in the given layout, `mixed` as wide as all heads, filled up.
    pub(crate) fn mix(
        &mut self,
        instructions: Instructions,
        (rows, layout, tokens): (&[u16], HeadLayout, usize),
        (first, n): (usize, usize),
        (mixed, done): (&mut TileRows, usize),
    ) {
        let stride_scores = stride(tokens);
        let session = Session::new(instructions);
        let mut sums = Sums([0.0; BLOCK * BLOCK]);
        for head in 0..layout.heads {
            let part = |which: usize, token: usize| Halves {
                data: &rows[token * layout.row() + layout.start(which, head)..],
                row: layout.row(),
                slice: layout.slice(),
            };
            self.queries.copy(n, part(0, first));
            self.keys.transpose(instructions, tokens, part(1, 0));
            self.values.pair_up(instructions, tokens, part(2, 0));
            for start in (0..n).step_by(BLOCK) {
                let here = BLOCK.min(n - start);
                for left in (0..self.keys.columns()).step_by(BLOCK) {
                    let target = &mut self.scores[left..];
                    session.multiply(
                        (&self.queries, start / SIDE, here),
                        (&self.keys, left / SIDE, usize::MAX),
                        target,
                        stride_scores,
                    );
                }
                let mut totals = [0.0; BLOCK];
                let scores = (&self.scores[..here * stride_scores], stride_scores, tokens);
                softmax_rows(instructions, scores, &mut self.weights, &mut totals[..here]);
                let inverses = totals.map(|total| 1.0 / total);
                for left in (0..layout.padded()).step_by(BLOCK) {
                    let values = (&self.values, left / SIDE, usize::MAX);
                    session.multiply((&self.weights, 0, here), values, &mut sums.0, BLOCK);
                    let place = (done + start, (head * layout.padded() + left) / BLOCK);
                    mixed.fill_scaled(instructions, place, &sums.0[..here * BLOCK], &inverses);
                }
            }
        }
    }
}
