//! One block: attention and feed-forward network, each behind a norm, each added to its input.

use super::activations::Activations;
use super::attention::{Attention, AttentionScratch};
use super::chunk::Chunk;
use super::feedforward::Feedforward;
use super::norm::Norm;
use super::projected::{HeadLayout, ProjectedRows, ProjectedRowsMut};
use crate::kernel::{Arithmetic, stride};
use crate::{Config, Params};

/// `x += s1 * attention(norm1(x)); x += s2 * feedforward(norm2(x))`; the scales are folded into the last matrix of each branch.
#[derive(Debug)]
pub(crate) struct Block {
    norm1: Norm,
    attention: Attention,
    norm2: Norm,
    feedforward: Feedforward,
}

/// Scratch of one thread, large enough for a chunk of tokens.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) pixels: Activations,
    normed: Activations,
    hidden: Activations,
    attention: AttentionScratch,
}

impl Scratch {
    /// Makes room for a chunk of images of `tokens` tokens.
    pub(crate) fn resize(&mut self, arithmetic: Arithmetic, config: &Config, chunk: &Chunk, tokens: usize) {
        let pixels = config.channels * config.patch * config.patch;
        self.pixels.resize(arithmetic, chunk.hidden, (pixels, stride(pixels)));
        // Room for what goes into either product of attention.
        let widest = arithmetic.slices().map_or(0, |slices| HeadLayout::new(config, slices).all_heads());
        self.normed.resize(arithmetic, chunk.rows, (config.width.max(widest), stride(config.width)));
        self.hidden.resize(arithmetic, chunk.hidden, (config.hidden, stride(config.hidden_rows())));
        self.attention.resize(arithmetic, (chunk.rows.min(tokens), tokens), config);
    }
}

impl Block {
    pub(crate) fn new(arithmetic: Arithmetic, config: &Config, params: &Params<f32>, index: usize) -> Self {
        let name = |part: &str| format!("block.{index}.{part}");
        Self {
            norm1: Norm::new(params, &name("norm1"), config.norm_epsilon),
            attention: Attention::new(arithmetic, config, params, index, params.get(&name("scale1"))),
            norm2: Norm::new(params, &name("norm2"), config.norm_epsilon),
            feedforward: Feedforward::new(arithmetic, config, params, index, params.get(&name("scale2"))),
        }
    }

    /// Queries, keys and values of n tokens: what [`Block::finish`] needs of every token of the image first.
    ///
    /// # Shapes
    /// `x` \[n, d\] -> n rows of `qkv`.
    pub(crate) fn begin(
        &self,
        arithmetic: Arithmetic,
        n: usize,
        x: &[f32],
        scratch: &mut Scratch,
        qkv: &mut ProjectedRowsMut<'_>,
    ) {
        let stride_d = x.len() / n;
        self.norm1.prepare(arithmetic, (x, stride_d), &mut scratch.normed);
        self.attention.project(arithmetic, n, &scratch.normed, qkv);
    }

    /// The block's output for n tokens, the first of which is row `row` of the batch, in place.
    ///
    /// # Shapes
    /// `qkv` of the whole batch, `x` \[n, d\].
    pub(crate) fn finish(
        &self,
        arithmetic: Arithmetic,
        (qkv, tokens, row): (ProjectedRows<'_>, usize, usize),
        (n, chunk): (usize, &Chunk),
        scratch: &mut Scratch,
        x: &mut [f32],
    ) {
        let stride_d = x.len() / n;
        let buffers = (&mut scratch.attention, &mut scratch.normed);
        self.attention.forward(arithmetic, (qkv, tokens, row), n, buffers, x);
        for x in x.chunks_mut(chunk.hidden(n) * stride_d) {
            let n = x.len() / stride_d;
            self.norm2.prepare(arithmetic, (x, stride_d), &mut scratch.normed);
            self.feedforward.forward(arithmetic, n, &scratch.normed, &mut scratch.hidden, x);
        }
    }
}
