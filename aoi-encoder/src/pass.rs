//! The forward pass: images dealt out to threads, and what is left of a batch shared out by tokens.
//!
//! As many images as divide evenly are *dealt*: a thread takes one, or a few small ones, through all blocks to the outputs, and the next when it is done, so that a
//! thread that the machine slows down takes fewer. The others, fewer than there are threads, and all where blocks between are wanted, are taken
//! through *together*: each thread owns a run of their tokens. Between two blocks it needs of the others only their keys and values, so there is one meeting point
//! a block: `finish` block i (attention over the keys and values of block i, then the feed-forward network), then `begin` block i + 1 (norm
//! and projection to queries, keys and values), all on the thread's own tokens.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{Array3, ArrayViewMut2, ArrayViewMut3, Axis};

use crate::kernel::stride;
use crate::layers::block::Scratch;
use crate::layers::chunk::Chunk;
use crate::layers::projected::{ProjectedRows, ProjectedRowsMut};
use crate::workspace::{Own, Tokens};
use crate::{Encoder, Features, Grid, PositionTable};

/// What all threads of one forward pass read, and what each has for itself.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) encoder: &'a Encoder,
    /// Pixels of all images, then from the first one at work on.
    pub(crate) images: &'a [f32],
    pub(crate) positions: &'a PositionTable,
    pub(crate) grid: Grid,
    pub(crate) tokens: usize,
    pub(crate) chunk: Chunk,
    pub(crate) own: &'a [Mutex<Own>],
    /// How many images a thread is dealt at a time.
    pub(crate) deal: usize,
}

/// Where the tokens of some images go after the final norm.
pub(crate) struct Outputs<'a> {
    class: ArrayViewMut2<'a, f32>,
    registers: ArrayViewMut3<'a, f32>,
    patches: ArrayViewMut3<'a, f32>,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(features: &'a mut Features) -> (Self, &'a mut [Array3<f32>]) {
        let Features { class, registers, patches, blocks } = features;
        let outputs =
            Self { class: class.view_mut(), registers: registers.view_mut(), patches: patches.view_mut() };
        (outputs, blocks)
    }

    fn images(&self) -> usize {
        self.class.nrows()
    }

    /// Those of the first `images` images, and the others.
    fn split_at(self, images: usize) -> (Self, Self) {
        let (class, later_class) = self.class.split_at(Axis(0), images);
        let (registers, later_registers) = self.registers.split_at(Axis(0), images);
        let (patches, later_patches) = self.patches.split_at(Axis(0), images);
        let first = Self { class, registers, patches };
        (first, Self { class: later_class, registers: later_registers, patches: later_patches })
    }
}

impl Pass<'_> {
    /// Takes images through all blocks: the first `dealt` one by one, the others together. Of the latter it writes the patches after the blocks `wanted` to `blocks`.
    pub(crate) fn run(
        &self,
        outputs: Outputs<'_>,
        dealt: usize,
        shared: &mut Tokens,
        (wanted, blocks): (&[usize], &mut [Array3<f32>]),
    ) {
        let (first, rest) = outputs.split_at(dealt);
        self.deal(first);
        if rest.images() > 0 {
            self.from(dealt).together(shared, wanted, blocks);
            self.write(shared, rest);
        }
    }

    /// The same without the first images.
    fn from(&self, image: usize) -> Self {
        Self { images: &self.images[image * self.area()..], ..*self }
    }

    /// Pixels of an image, all channels.
    fn area(&self) -> usize {
        let config = &self.encoder.config;
        config.channels * self.grid.len() * config.patch.pow(2)
    }

    /// Halves the images until one thread can take what is left; others that are done take a half that was not begun.
    fn deal(&self, outputs: Outputs<'_>) {
        let images = outputs.images();
        if images > self.deal {
            let half = (images / 2).next_multiple_of(self.deal);
            let (left, right) = outputs.split_at(half);
            let (left, right) = (|| self.deal(left), || self.from(half).deal(right));
            if self.own.len() > 1 {
                rayon::join(left, right);
            } else {
                left();
                right();
            }
        } else if images > 0 {
            let mut own = self.own();
            let Own { tokens, scratch } = &mut *own;
            let Tokens { x, qkv: [current, next] } = tokens;
            let (rows, all) = (images * self.tokens, 0..images * self.tokens);
            let x = &mut x[..rows * stride(self.encoder.config.width)];
            let [mut current, mut next] = [current, next].map(|qkv| qkv.all_mut().split_at(rows).0);
            for done in std::iter::once(None).chain((0..self.encoder.config.depth).map(Some)) {
                self.work(done, all.clone(), current.rows(), (x, next.part(0, rows)), scratch);
                std::mem::swap(&mut current, &mut next);
            }
            self.write(tokens, outputs);
        }
    }

    /// The final norm of all tokens, each to its output.
    fn write(&self, tokens: &Tokens, outputs: Outputs<'_>) {
        let Outputs { mut class, mut registers, mut patches } = outputs;
        let (x, prefix) = (&tokens.x, self.encoder.config.prefix());
        self.encoder.class(x, self.tokens, &mut class);
        self.encoder.normed(x, self.tokens, 1..prefix, &mut registers);
        self.encoder.normed(x, self.tokens, prefix..self.tokens, &mut patches);
    }

    /// What this thread has for itself.
    fn own(&self) -> MutexGuard<'_, Own> {
        // One thread is the caller's, which may be any of another pool.
        let index = if self.own.len() > 1 { rayon::current_thread_index().unwrap_or(0) } else { 0 };
        // What a thread that panicked left there is written anew before it is read.
        self.own[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes images through all blocks, all threads meeting after each; writes the patches after the blocks `wanted` to `out`.
    fn together(&self, shared: &mut Tokens, wanted: &[usize], out: &mut [Array3<f32>]) {
        let Tokens { x, qkv: [current, next] } = shared;
        let (mut current, mut next) = (current.all_mut(), next.all_mut());
        let (rows, prefix, threads) = (next.count(), self.encoder.config.prefix(), self.own.len());
        self.share(None, 0..rows, current.rows(), (x, next.part(0, rows)), threads);
        for index in 0..self.encoder.config.depth {
            std::mem::swap(&mut current, &mut next);
            self.share(Some(index), 0..rows, current.rows(), (x, next.part(0, rows)), threads);
            for (_, out) in wanted.iter().zip(&mut *out).filter(|(wanted, _)| **wanted == index) {
                self.encoder.normed(x, self.tokens, prefix..self.tokens, out);
            }
        }
    }

    /// Halves the rows until there is a part for each of `threads`, and works on them.
    fn share(
        &self,
        done: Option<usize>,
        rows: Range<usize>,
        current: ProjectedRows<'_>,
        (x, next): (&mut [f32], ProjectedRowsMut<'_>),
        threads: usize,
    ) {
        if threads > 1 && rows.len() > 1 {
            let first = threads / 2;
            let middle = rows.len() * first / threads;
            let (block, image) = (self.chunk.block, (rows.start + middle).is_multiple_of(self.tokens));
            // Between two images, or whole blocks on the left, where there are enough that the threads stay about equally busy.
            let middle = if image || middle <= 2 * block { middle } else { middle / block * block };
            let (x_left, x_right) = x.split_at_mut(middle * (x.len() / rows.len()));
            let (next_left, next_right) = next.split_at(middle);
            let split = rows.start + middle;
            rayon::join(
                || self.share(done, rows.start..split, current, (x_left, next_left), first),
                || self.share(done, split..rows.end, current, (x_right, next_right), threads - first),
            );
        } else if !rows.is_empty() {
            self.work(done, rows, current, (x, next), &mut self.own().scratch);
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
        let pixels = &self.images[image * self.area()..(image + 1) * self.area()];
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
