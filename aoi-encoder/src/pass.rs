//! The forward pass: images shared out to threads, and within an image tokens.
//!
//! Where the images come out even and no block between is wanted, every thread takes whole ones through all blocks and meets the others at the end. Else a
//! group of threads shares the tokens of its images: each owns a run of them. Between two blocks it needs of the others only their keys and values, so there is one meeting point
//! a block: `finish` block i (attention over the keys and values of block i, then the feed-forward network), then `begin` block i + 1 (norm
//! and projection to queries, keys and values), all on the thread's own tokens.

use std::ops::Range;

use ndarray::Array3;

use crate::kernel::stride;
use crate::layers::block::Scratch;
use crate::layers::chunk::Chunk;
use crate::layers::projected::{ProjectedRows, ProjectedRowsMut};
use crate::{Encoder, Grid, PositionTable};

/// What all threads of one forward pass read.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) encoder: &'a Encoder,
    /// Those of all [`Work`], then of a share of it.
    pub(crate) images: &'a [f32],
    pub(crate) positions: &'a PositionTable,
    pub(crate) grid: Grid,
    pub(crate) tokens: usize,
    pub(crate) chunk: Chunk,
}

/// Images, what becomes of their tokens, and the threads that work on them.
pub(crate) struct Work<'a> {
    /// How many.
    pub(crate) images: usize,
    /// Tokens, \[images * t, d\].
    pub(crate) x: &'a mut [f32],
    /// Queries, keys and values of the block at work and of the next one.
    pub(crate) qkv: [ProjectedRowsMut<'a>; 2],
    /// One a thread.
    pub(crate) scratch: &'a mut [Scratch],
}

impl Work<'_> {
    /// `part` of `whole` equal shares of images and threads, and the others.
    fn split(self, part: usize, whole: usize) -> (Self, Self) {
        let Self { images, x, qkv, scratch } = self;
        let (first, rows) = (images * part / whole, qkv[0].count() * part / whole);
        let (x_left, x_right) = x.split_at_mut(x.len() / whole * part);
        let [(current_left, current_right), (next_left, next_right)] =
            qkv.map(|rows_of| rows_of.split_at(rows));
        let (left, right) = scratch.split_at_mut(scratch.len() * part / whole);
        let one = |images, x, qkv, scratch| Self { images, x, qkv, scratch };
        (
            one(first, x_left, [current_left, next_left], left),
            one(images - first, x_right, [current_right, next_right], right),
        )
    }
}

impl Pass<'_> {
    /// Takes images through all blocks, as many groups of threads side by side as divide the images evenly.
    pub(crate) fn run(self, work: Work<'_>) {
        match greatest_common_divisor(work.images, work.scratch.len()) {
            0 | 1 => self.together(work, &[], &mut []),
            groups => {
                let part = groups / 2;
                let (images, others) = self.images.split_at(self.images.len() / groups * part);
                let (left, right) = work.split(part, groups);
                rayon::join(
                    || Pass { images, ..self }.run(left),
                    || Pass { images: others, ..self }.run(right),
                );
            }
        }
    }

    /// Takes images through all blocks, all threads of `work` meeting after each; writes the patches after the blocks `wanted` to `out`.
    pub(crate) fn together(&self, work: Work<'_>, wanted: &[usize], out: &mut [Array3<f32>]) {
        let Work { x, qkv: [mut current, mut next], scratch, .. } = work;
        let (rows, prefix) = (next.count(), self.encoder.config.prefix());
        self.share(None, 0..rows, current.rows(), (x, next.part(0, rows)), scratch);
        for index in 0..self.encoder.config.depth {
            std::mem::swap(&mut current, &mut next);
            self.share(Some(index), 0..rows, current.rows(), (x, next.part(0, rows)), scratch);
            for (_, out) in wanted.iter().zip(&mut *out).filter(|(wanted, _)| **wanted == index) {
                self.encoder.normed(x, self.tokens, prefix..self.tokens, out);
            }
        }
    }

    /// Halves the rows until each thread has its own, then works on them.
    fn share(
        &self,
        done: Option<usize>,
        rows: Range<usize>,
        current: ProjectedRows<'_>,
        (x, next): (&mut [f32], ProjectedRowsMut<'_>),
        scratch: &mut [Scratch],
    ) {
        let threads = scratch.len();
        if threads > 1 && rows.len() > 1 {
            let (left, right) = scratch.split_at_mut(threads / 2);
            let middle = rows.len() * left.len() / threads;
            let (block, image) = (self.chunk.block, (rows.start + middle).is_multiple_of(self.tokens));
            // Between two images, or whole blocks on the left, where there are enough that the threads stay about equally busy.
            let middle = if image || middle <= 2 * block { middle } else { middle / block * block };
            let (x_left, x_right) = x.split_at_mut(middle * (x.len() / rows.len()));
            let (next_left, next_right) = next.split_at(middle);
            let split = rows.start + middle;
            rayon::join(
                || self.share(done, rows.start..split, current, (x_left, next_left), left),
                || self.share(done, split..rows.end, current, (x_right, next_right), right),
            );
        } else if !rows.is_empty() {
            self.work(done, rows, current, (x, next), &mut scratch[0]);
        }
    }

    /// One thread's tokens from one meeting point to the next, chunk by chunk.
    fn work(
        &self,
        done: Option<usize>,
        rows: Range<usize>,
        current: ProjectedRows<'_>,
        (x, mut next): (&mut [f32], ProjectedRowsMut<'_>),
        scratch: &mut Scratch,
    ) {
        let Encoder { config, arithmetic, blocks, .. } = self.encoder;
        let stride_d = stride(config.width);
        let mut row = rows.start;
        while row < rows.end {
            let n = self.chunk.take(self.tokens, row % self.tokens, rows.end - row);
            let offset = row - rows.start;
            let x = &mut x[offset * stride_d..(offset + n) * stride_d];
            match done {
                None => self.embed(row..row + n, scratch, x),
                Some(index) => {
                    let tokens = (current, self.tokens, row);
                    blocks[index].finish(*arithmetic, tokens, (n, &self.chunk), scratch, x);
                }
            }
            if let Some(block) = blocks.get(done.map_or(0, |index| index + 1)) {
                block.begin(*arithmetic, n, x, scratch, &mut next.part(offset, n));
            }
            row += n;
        }
    }

    /// The first tokens of their images, rows `rows` of the batch: prefix tokens and projected patches, positions added.
    fn embed(&self, rows: Range<usize>, scratch: &mut Scratch, x: &mut [f32]) {
        let stride_d = stride(self.encoder.config.width);
        let mut row = rows.start;
        while row < rows.end {
            let (image, first) = (row / self.tokens, row % self.tokens);
            let n = (rows.end - row).min(self.tokens - first).min(self.chunk.hidden);
            let offset = row - rows.start;
            self.embed_image(image, first, scratch, &mut x[offset * stride_d..(offset + n) * stride_d]);
            row += n;
        }
    }

    /// Tokens `first..` of one image, as many as `x` has rows and as its scratch holds.
    #[expect(clippy::cast_possible_truncation, reason = "positions are rounded to f32")]
    fn embed_image(&self, image: usize, first: usize, scratch: &mut Scratch, x: &mut [f32]) {
        let Encoder { config, arithmetic, patch, prefix, .. } = self.encoder;
        let (d, stride_d) = (config.width, stride(config.width));
        let area = config.channels * self.grid.len() * config.patch.pow(2);
        let pixels = &self.images[image * area..(image + 1) * area];
        let from_prefix = config.prefix().saturating_sub(first).min(x.len() / stride_d);
        let (before, patches) = x.split_at_mut(from_prefix * stride_d);
        for (token, row) in (first..).zip(before.chunks_exact_mut(stride_d)) {
            row.fill(0.0);
            row[..d].copy_from_slice(&prefix[token * d..(token + 1) * d]);
            if let Some(position) = self.positions.prefix.chunks_exact(d).nth(token) {
                row.iter_mut().zip(position).for_each(|(x, &p)| *x += p as f32);
            }
        }
        let n = patches.len() / stride_d;
        if n == 0 {
            return;
        }
        let start = first + from_prefix - config.prefix();
        patch.forward(*arithmetic, (pixels, self.grid), (start, n), &mut scratch.pixels, patches);
        for (row, position) in
            patches.chunks_exact_mut(stride_d).zip(self.positions.patches[start * d..].chunks_exact(d))
        {
            row.iter_mut().zip(position).for_each(|(x, &p)| *x += p as f32);
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
