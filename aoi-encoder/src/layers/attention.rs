//! Multi-head self-attention of some of an image's tokens to all of them.

use super::activations::Activations;
use super::linear::Linear;
use super::projected::{HeadLayout, ProjectedRows, ProjectedRowsMut};
use super::tile_attention::{TileAttention, query_scale};
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
    /// Where products are of tiles.
    layout: Option<HeadLayout>,
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
        config: &Config,
    ) {
        if let Some(slices) = arithmetic.slices() {
            return self.tiles.resize((queries, tokens), HeadLayout::new(config, slices));
        }
        let head_width = config.head_width();
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
        let (weight, bias, out) = (get("qkv.weight"), get("qkv.bias"), get("out.weight"));
        let (width, heads) = (config.width, config.heads);
        let layout = arithmetic.slices().map(|slices| HeadLayout::new(config, slices));
        let (qkv, out) = match layout {
            None => (
                Linear::new(arithmetic, weight, bias, width, &[]),
                Linear::new(arithmetic, out, get("out.bias"), width, scale),
            ),
            Some(layout) => {
                let (weight, bias) = (layout.pad(weight, 3, width), layout.pad(bias, 3, 1));
                let mut scales = vec![1.0; layout.slice()];
                scales[..layout.all_heads()].fill(query_scale(layout.width));
                let out: Vec<f32> = out.chunks_exact(width).flat_map(|row| layout.pad(row, 1, 1)).collect();
                (
                    Linear::new(arithmetic, &weight, &bias, width, &scales),
                    Linear::new(arithmetic, &out, get("out.bias"), layout.all_heads(), scale),
                )
            }
        };
        Self { qkv, out, layout, heads, width }
    }

    /// Queries, keys and values of n tokens.
    ///
    /// # Shapes
    /// `x` \[n, d\] -> n rows of `qkv`.
    pub(crate) fn project(
        &self,
        arithmetic: Arithmetic,
        n: usize,
        x: &Activations,
        qkv: &mut ProjectedRowsMut<'_>,
    ) {
        match self.layout {
            None => self.qkv.apply(arithmetic, (n, x), (qkv.floats, stride(3 * self.width)), Epilogue::Store),
            Some(layout) => {
                self.qkv.cut(arithmetic.instructions, (n, x), (qkv.halves, layout.row(), layout.slice()));
            }
        }
    }

    /// `residual += attention` for n tokens, the first of which is row `row` of the batch, each to all of its image.
    ///
    /// # Shapes
    /// `qkv` of all tokens of the batch; `residual` \[n, d\]; `mixed` is scratch of n rows.
    pub(crate) fn forward(
        &self,
        arithmetic: Arithmetic,
        (qkv, tokens, row): (ProjectedRows<'_>, usize, usize),
        n: usize,
        (scratch, mixed): (&mut AttentionScratch, &mut Activations),
        residual: &mut [f32],
    ) {
        let stride_d = stride(self.width);
        mixed.resize(arithmetic, n, (self.layout.map_or(self.width, HeadLayout::all_heads), stride_d));
        let mut done = 0;
        while done < n {
            let (image, first) = ((row + done) / tokens, (row + done) % tokens);
            let here = (n - done).min(tokens - first);
            let qkv = qkv.part(image * tokens, tokens);
            match self.layout {
                None => {
                    let mixed = &mut mixed.floats_mut()[done * stride_d..];
                    self.mix_image(
                        arithmetic.instructions,
                        (qkv.floats, tokens),
                        (first, here),
                        scratch,
                        mixed,
                    );
                }
                Some(layout) => {
                    let image = (qkv.halves, layout, tokens);
                    scratch.tiles.mix(
                        arithmetic.instructions,
                        image,
                        (first, here),
                        (mixed.rows_mut(), done),
                    );
                }
            }
            done += here;
        }
        self.out.apply(arithmetic, (n, mixed), (residual, stride_d), Epilogue::Add);
    }

    /// All heads for the queries `first..first + n` of one image.
    fn mix_image(
        &self,
        instructions: Instructions,
        (qkv, tokens): (&[f32], usize),
        (first, n): (usize, usize),
        scratch: &mut AttentionScratch,
        mixed: &mut [f32],
    ) {
        for head in 0..self.heads {
            for start in (0..n).step_by(LANES) {
                let queries = (first + start, LANES.min(n - start));
                let target = &mut mixed[start * stride(self.width)..];
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
