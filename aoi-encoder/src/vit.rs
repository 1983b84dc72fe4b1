//! The encoder: packed weights, and the forward pass that shares tokens out to threads.
//!
//! Every thread owns a run of tokens. Between two blocks it needs of the others only their keys and values, so there is one meeting point
//! a block: `finish` block i (attention over the keys and values of block i, then the feed-forward network), then `begin` block i + 1 (norm
//! and projection to queries, keys and values), all on the thread's own tokens.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayRef4};

use crate::kernel::{Arithmetic, Instructions, Precision, stride};
use crate::layers::block::{Block, Scratch};
use crate::layers::chunk::Chunk;
use crate::layers::norm::Norm;
use crate::layers::patch::PatchProjection;
use crate::layers::projected::{Projected, ProjectedRows, ProjectedRowsMut};
use crate::params::check_finite;
use crate::workspace::Workspace;
use crate::{Config, Error, Grid, Params, PositionTable, Result, images_grid};

/// A vision transformer ready to run on the CPU in f32.
///
/// It holds its weights packed for the processor it was made on, nothing else; buffers and threads are the caller's [`Workspace`].
///
/// # Examples
/// ```
/// use aoi_encoder::ndarray::Array4;
/// use aoi_encoder::{Config, Encoder, Params, Table, Workspace};
///
/// let config = Config { width: 32, depth: 2, heads: 2, hidden: 64, ..Config::paper() };
/// let params = Params::<f32>::zeros(std::sync::Arc::new(Table::new(&config)?));
/// let encoder = Encoder::new(&config, &params)?;
/// let features = encoder.forward(&Array4::zeros((1, 2, 64, 48)), &[0], &mut Workspace::new(1)?)?;
/// assert_eq!(features.patches.shape(), [1, 4 * 3, 32]);
/// assert_eq!(features.blocks[0].shape(), [1, 4 * 3, 32]);
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    config: Config,
    arithmetic: Arithmetic,
    patch: PatchProjection,
    blocks: Vec<Block>,
    norm: Norm,
    /// Class token and registers, \[1 + r, d\].
    prefix: Vec<f32>,
    /// Rows of the learned positions; which of two encoders a table belongs to is told by this pointer.
    positions: Arc<Vec<f64>>,
}

/// How an encoder computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderOptions {
    /// The numbers that products are made of.
    pub precision: Precision,
    /// The instructions to use; the best of this processor unless chosen otherwise.
    pub instructions: Instructions,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self { precision: Precision::default(), instructions: Instructions::best() }
    }
}

/// What the encoder says of a batch of images; everything is after the final norm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// The class token, \[b, d\].
    pub class: Array2<f32>,
    /// The registers, \[b, r, d\].
    pub registers: Array3<f32>,
    /// The patches in reading order, \[b, t, d\].
    pub patches: Array3<f32>,
    /// The patches after each block asked for, in the order asked, each \[b, t, d\].
    pub blocks: Vec<Array3<f32>>,
}

impl Encoder {
    /// Packs `params` for the best instructions that this processor has.
    ///
    /// # Errors
    /// [`Error::Config`] for an impossible architecture, [`Error::Shape`] when the parameters are those of another one,
    /// [`Error::NotFinite`] when one is NaN or infinite.
    pub fn new(config: &Config, params: &Params<f32>) -> Result<Self> {
        Self::with_options(config, params, &EncoderOptions::default())
    }

    /// As [`Encoder::new`], for a chosen precision and chosen instructions.
    ///
    /// # Errors
    /// As [`Encoder::new`], and [`Error::Config`] when this processor lacks the instructions.
    pub fn with_options(config: &Config, params: &Params<f32>, options: &EncoderOptions) -> Result<Self> {
        let EncoderOptions { precision, instructions } = *options;
        let arithmetic = Arithmetic { instructions, precision };
        params.check_table(config)?;
        params.check_finite()?;
        if !instructions.is_available() {
            let expected = format!("at most {:?}", Instructions::best());
            return Err(Error::config("instructions", expected, &format!("{instructions:?}")));
        }
        let prefix = [params.get("class_token"), params.get("register_tokens")].concat();
        Ok(Self {
            config: config.clone(),
            arithmetic,
            patch: PatchProjection::new(arithmetic, config, params),
            blocks: (0..config.depth).map(|index| Block::new(arithmetic, config, params, index)).collect(),
            norm: Norm::new(params, "norm", config.norm_epsilon),
            prefix,
            positions: Arc::new(params.get("positions").iter().map(|&p| f64::from(p)).collect()),
        })
    }

    /// The architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The instructions it runs on.
    pub fn instructions(&self) -> Instructions {
        self.arithmetic.instructions
    }

    /// The numbers that its products are made of.
    pub fn precision(&self) -> Precision {
        self.arithmetic.precision
    }

    /// Encodes normalised images; `blocks` asks for intermediate blocks, numbered from 0.
    ///
    /// The numbers depend on the weights, the image and the instructions only: not on the other images of the batch, nor on the threads.
    ///
    /// # Shapes
    /// `images` \[b, c, height, width\], sides multiples of the patch -> see [`Features`].
    ///
    /// # Errors
    /// As [`Encoder::forward_into`].
    pub fn forward(
        &self,
        images: &ArrayRef4<f32>,
        blocks: &[usize],
        workspace: &mut Workspace,
    ) -> Result<Features> {
        let mut features = Features::default();
        self.forward_into(images, blocks, workspace, &mut features)?;
        Ok(features)
    }

    /// As [`Encoder::forward`], into arrays that are used again where their shapes fit: a second call of the same size
    /// takes no memory.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Config`] for images of another channel count or without whole patches, [`Error::NotFinite`] for NaN or
    /// infinite pixels, [`Error::Block`] for a block that is not there.
    pub fn forward_into(
        &self,
        images: &ArrayRef4<f32>,
        blocks: &[usize],
        workspace: &mut Workspace,
        features: &mut Features,
    ) -> Result<()> {
        let grid = images_grid(&self.config, images.shape())?;
        if let Some(&found) = blocks.iter().find(|&&block| block >= self.config.depth) {
            return Err(Error::Block { found, last: self.config.depth - 1 });
        }
        let in_one_piece = images.as_slice();
        if in_one_piece.is_none() {
            workspace.images.resize(images.len());
            workspace.images.iter_mut().zip(images).for_each(|(target, &pixel)| *target = pixel);
        }
        check_finite("images", in_one_piece.unwrap_or(&workspace.images))?;
        let (b, d, t) = (images.shape()[0], self.config.width, self.config.prefix() + grid.len());
        let fits = |(owner, table): &(Arc<_>, PositionTable)| {
            Arc::ptr_eq(owner, &self.positions) && table.grid == grid
        };
        if !workspace.positions.as_ref().is_some_and(fits) {
            let table = PositionTable::from_rows(&self.config, &self.positions, grid)?;
            workspace.positions = Some((self.positions.clone(), table));
        }
        workspace.x.resize(b * t * stride(d));
        workspace.qkv.iter_mut().for_each(|qkv| qkv.resize(self.arithmetic, &self.config, b * t));
        let chunk = Chunk::new(self.arithmetic, &self.config);
        for scratch in &mut workspace.scratch {
            scratch.resize(self.arithmetic, &self.config, &chunk, t);
        }
        features.shape(&self.config, (b, grid.len()), blocks.len());

        let Workspace { pool, images, positions, x, qkv, scratch, .. } = workspace;
        let Some((_, positions)) = positions else { unreachable!("the table was made above") };
        let images = in_one_piece.unwrap_or(images);
        let run = Run { encoder: self, images, positions, grid, tokens: t, chunk };
        let [current, next] = qkv;
        let (mut current, mut next) = (current, next);
        let mut step = |done: Option<usize>, current: &Projected, next: &mut Projected, x: &mut [f32]| {
            let (all, current, next) = (0..b * t, current.rows(), next.rows_mut());
            match pool {
                Some(pool) => pool.install(|| run.share(done, all, current, (x, next), scratch)),
                None => run.share(done, all, current, (x, next), scratch),
            }
        };
        step(None, current, next, x);
        for index in 0..self.config.depth {
            std::mem::swap(&mut current, &mut next);
            step(Some(index), current, next, x);
            for (wanted, out) in blocks.iter().zip(&mut features.blocks) {
                if *wanted == index {
                    self.normed(x, t, self.config.prefix()..t, out);
                }
            }
        }
        self.class(x, t, &mut features.class);
        self.normed(x, t, self.config.prefix()..t, &mut features.patches);
        self.normed(x, t, 1..self.config.prefix(), &mut features.registers);
        Ok(())
    }

    /// The final norm of the tokens `range` of every image.
    fn normed(&self, x: &[f32], t: usize, range: Range<usize>, out: &mut Array3<f32>) {
        let (d, stride_d) = (self.config.width, stride(self.config.width));
        for (image, mut out) in x.chunks_exact(t * stride_d).zip(out.outer_iter_mut()) {
            let rows = &image[range.start * stride_d..range.end * stride_d];
            let out = out.as_slice_mut().expect("our own arrays are contiguous");
            self.norm.forward(self.instructions(), (rows, stride_d), (out, d));
        }
    }

    /// The final norm of every class token.
    fn class(&self, x: &[f32], t: usize, out: &mut Array2<f32>) {
        let stride_d = stride(self.config.width);
        for (image, mut out) in x.chunks_exact(t * stride_d).zip(out.outer_iter_mut()) {
            let out = out.as_slice_mut().expect("our own arrays are contiguous");
            let d = out.len();
            self.norm.forward(self.instructions(), (&image[..stride_d], stride_d), (out, d));
        }
    }
}

impl Features {
    /// Gives every array its shape; memory is taken only where it changes.
    fn shape(&mut self, config: &Config, (b, t): (usize, usize), blocks: usize) {
        let d = config.width;
        if self.class.dim() != (b, d) {
            self.class = Array2::zeros((b, d));
        }
        self.blocks.resize_with(blocks, || Array3::zeros((0, 0, 0)));
        let patches = std::iter::once(&mut self.patches).chain(&mut self.blocks).map(|a| (a, t));
        for (array, rows) in patches.chain([(&mut self.registers, config.registers)]) {
            if array.dim() != (b, rows, d) {
                *array = Array3::zeros((b, rows, d));
            }
        }
    }
}

/// What all threads of one forward pass read.
struct Run<'a> {
    encoder: &'a Encoder,
    images: &'a [f32],
    positions: &'a PositionTable,
    grid: Grid,
    tokens: usize,
    chunk: Chunk,
}

impl Run<'_> {
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
