//! Multi-head self-attention of some of an image's tokens to all of them.

use super::activations::Activations;
use super::linear::Linear;
use super::tile_attention::TileAttention;
use crate::kernel::{
    Arithmetic, Buffer, Epilogue, Instructions, Layout, Tile, multiply_panel, softmax_columns, stride,
};
use crate::{Config, Params};

/// Queries handled together, one a vector lane.
const LANES: usize = 32;

/// `softmax(q k^T / sqrt(d / h)) v` for every head, then the output projection.
///
/// Queries lie in vector lanes: for up to 32 queries the scores are the panel `K q^T` \[t, 32\], on which softmax needs no sums across
/// lanes, and which is at once the right-hand side of `V^T softmax` \[d / h, 32\]. Only that panel exists, never t x t scores, and keys
/// and values are read where the projection left them.
#[derive(Debug)]
pub(crate) struct Attention {
    qkv: Linear,
    out: Linear,
    heads: usize,
    width: usize,
}

/// Scratch of one thread.
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch {
    queries: Buffer,
    scores: Buffer,
    values: Buffer,
    tiles: TileAttention,
}

impl AttentionScratch {
    /// Makes room for attention of so many queries to so many tokens.
    pub(crate) fn resize(
        &mut self,
        arithmetic: Arithmetic,
        (queries, tokens): (usize, usize),
        head_width: usize,
    ) {
        if let Some(slices) = arithmetic.slices() {
            return self.tiles.resize((queries, tokens), head_width, slices);
        }
        self.queries.resize(head_width * LANES);
        self.scores.resize(tokens * LANES);
        self.values.resize(head_width * LANES);
    }
}

impl Attention {
    /// The attention of block `index`; the output projection is scaled by `scale` where there is one.
    pub(crate) fn new(
        arithmetic: Arithmetic,
        config: &Config,
        params: &Params<f32>,
        index: usize,
        scale: &[f32],
    ) -> Self {
        let get = |name: &str| params.get(&format!("block.{index}.attention.{name}"));
        Self {
            qkv: Linear::new(arithmetic, get("qkv.weight"), get("qkv.bias"), config.width, &[]),
            out: Linear::new(arithmetic, get("out.weight"), get("out.bias"), config.width, scale),
            heads: config.heads,
            width: config.width,
        }
    }

    /// Queries, keys and values of n tokens.
    ///
    /// # Shapes
    /// `x` \[n, d\] -> `qkv` \[n, 3 d\] at the stride of 3 d.
    pub(crate) fn project(&self, arithmetic: Arithmetic, n: usize, x: &Activations, qkv: &mut [f32]) {
        self.qkv.apply(arithmetic, (n, x), (qkv, stride(3 * self.width)), Epilogue::Store);
    }

    /// `residual += attention` for n tokens, the first of which is row `row` of the batch, each to all of its image.
    ///
    /// # Shapes
    /// `qkv` \[b * t, 3 d\], all tokens of the batch; `residual` \[n, d\]; `mixed` is scratch of n rows.
    pub(crate) fn forward(
        &self,
        arithmetic: Arithmetic,
        (qkv, tokens, row): (&[f32], usize, usize),
        n: usize,
        (scratch, mixed): (&mut AttentionScratch, &mut Activations),
        residual: &mut [f32],
    ) {
        let (stride_d, stride_qkv) = (stride(self.width), stride(3 * self.width));
        let mut done = 0;
        while done < n {
            let (image, first) = ((row + done) / tokens, (row + done) % tokens);
            let here = (n - done).min(tokens - first);
            let qkv = &qkv[image * tokens * stride_qkv..(image + 1) * tokens * stride_qkv];
            let mixed = &mut mixed.floats_mut()[done * stride_d..];
            self.mix_image(arithmetic, (qkv, tokens), (first, here), scratch, mixed);
            done += here;
        }
        mixed.cut(arithmetic, n);
        self.out.apply(arithmetic, (n, mixed), (residual, stride_d), Epilogue::Add);
    }

    /// All heads for the queries `first..first + n` of one image.
    fn mix_image(
        &self,
        arithmetic: Arithmetic,
        (qkv, tokens): (&[f32], usize),
        (first, n): (usize, usize),
        scratch: &mut AttentionScratch,
        mixed: &mut [f32],
    ) {
        let (stride_d, instructions) = (stride(self.width), arithmetic.instructions);
        for head in 0..self.heads {
            if arithmetic.slices().is_some() {
                let of = (self.width, self.heads, head);
                scratch.tiles.mix(instructions, (qkv, tokens), of, (first, n), mixed);
                continue;
            }
            for start in (0..n).step_by(LANES) {
                let queries = (first + start, LANES.min(n - start));
                let target = &mut mixed[start * stride_d..];
                self.mix(instructions, (qkv, tokens), head, queries, scratch, target);
            }
        }
    }

    /// One head for at most 32 queries; row i of `mixed` is that of query `first + i`.
    fn mix(
        &self,
        instructions: Instructions,
        (qkv, tokens): (&[f32], usize),
        head: usize,
        (first, n): (usize, usize),
        scratch: &mut AttentionScratch,
        mixed: &mut [f32],
    ) {
        let (d, row) = (self.width, stride(3 * self.width));
        let width = d / self.heads;
        let lanes = if n <= LANES / 2 { LANES / 2 } else { LANES };
        let scale = 1.0 / (width as f32).sqrt();
        let queries = &mut scratch.queries[..width * lanes];
        queries.fill(0.0);
        for i in 0..n {
            let start = (first + i) * row + head * width;
            for (f, &q) in qkv[start..start + width].iter().enumerate() {
                queries[f * lanes + i] = q * scale;
            }
        }
        let scores = &mut scratch.scores[..tokens * lanes];
        let keys = Tile {
            size: (tokens, width),
            a: &qkv[d + head * width..],
            layout: Layout { row, inner: 1 },
            b: queries,
            columns: lanes,
            bias: &[],
            add: false,
        };
        multiply_panel(instructions, &keys, scores, lanes);
        let mut sums = [0.0; LANES];
        softmax_columns(instructions, scores, &mut sums[..lanes]);
        let values = Tile {
            size: (width, tokens),
            a: &qkv[2 * d + head * width..],
            layout: Layout { row: 1, inner: row },
            b: scores,
            columns: lanes,
            bias: &[],
            add: false,
        };
        let out = &mut scratch.values[..width * lanes];
        multiply_panel(instructions, &values, out, lanes);
        for (i, target) in mixed.chunks_mut(stride(d)).take(n).enumerate() {
            let inverse = 1.0 / sums[i];
            for (f, o) in target[head * width..(head + 1) * width].iter_mut().enumerate() {
                *o = out[f * lanes + i] * inverse;
            }
        }
    }
}
