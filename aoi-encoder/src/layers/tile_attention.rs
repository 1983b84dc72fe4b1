//! Attention on tiles.

use crate::kernel::{
    BLOCK, Buffer, Instructions, SIDE, Session, TileColumns, TileRows, softmax_rows, stride,
};

/// `softmax(q k^T / sqrt(d / h)) v` of one head for up to 32 queries at a time.
///
/// Queries are the rows and keys the columns of one product; its rows, through softmax and cut into slices, are the rows of the second, whose columns
/// are those of the values. Only 32 x t scores exist.
#[derive(Debug, Default)]
pub(crate) struct TileAttention {
    queries: TileRows,
    rows_of_keys: TileRows,
    keys: TileColumns,
    values: TileColumns,
    scores: Buffer,
    weights: TileRows,
    mixed: Buffer,
}

impl TileAttention {
    /// Makes room for so many queries to so many tokens.
    pub(crate) fn resize(&mut self, (queries, tokens): (usize, usize), head_width: usize, slices: usize) {
        self.queries.resize(queries, head_width, slices);
        self.rows_of_keys.resize(tokens, head_width, slices);
        self.keys.resize(tokens, head_width, slices);
        self.values.resize(head_width, tokens, slices);
        self.scores.resize(BLOCK * stride(tokens));
        self.weights.resize(BLOCK, tokens, slices);
        self.mixed.resize(BLOCK * head_width.next_multiple_of(BLOCK));
    }

    /// Head `head` of `heads` for the queries `first..first + n`; row i of `mixed` is that of query `first + i`.
    ///
    /// # Shapes
    /// `qkv` \[t, 3 d\] at the stride of 3 d, `mixed` \[n, d\] at the stride of d.
    pub(crate) fn mix(
        &mut self,
        instructions: Instructions,
        (qkv, tokens): (&[f32], usize),
        (d, heads, head): (usize, usize, usize),
        (first, n): (usize, usize),
        mixed: &mut [f32],
    ) {
        let (width, row, stride_scores) = (d / heads, stride(3 * d), stride(tokens));
        let part = |which: usize, token: usize| (&qkv[token * row + which * d + head * width..], row);
        self.queries.fill(instructions, n, part(0, first), width, 1.0 / (width as f32).sqrt());
        self.rows_of_keys.fill(instructions, tokens, part(1, 0), width, 1.0);
        self.keys.transpose(instructions, &self.rows_of_keys);
        self.values.interleave(instructions, part(2, 0), (tokens, width));
        let session = Session::new(instructions);
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
            let mut sums = [0.0; BLOCK];
            let scores = (&self.scores[..here * stride_scores], stride_scores, tokens);
            softmax_rows(instructions, scores, &mut self.weights, &mut sums[..here]);
            let padded = self.values.columns();
            for left in (0..padded).step_by(BLOCK) {
                let target = &mut self.mixed[left..];
                session.multiply(
                    (&self.weights, 0, here),
                    (&self.values, left / SIDE, usize::MAX),
                    target,
                    padded,
                );
            }
            let rows = mixed[start * stride(d)..].chunks_mut(stride(d));
            for ((target, mixed), sum) in rows.zip(self.mixed.chunks_exact(padded)).zip(sums).take(here) {
                let inverse = 1.0 / sum;
                for (target, mixed) in target[head * width..(head + 1) * width].iter_mut().zip(mixed) {
                    *target = mixed * inverse;
                }
            }
        }
    }
}
