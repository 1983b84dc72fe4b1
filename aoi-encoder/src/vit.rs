//! The encoder: packed weights, and what goes into a forward pass and comes out of it.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use ndarray::{Array2, Array3, ArrayRef2, ArrayRef3, ArrayRef4};

use crate::kernel::{Arithmetic, Instructions, Precision, stride};
use crate::layers::block::Block;
use crate::layers::chunk::Chunk;
use crate::layers::norm::Norm;
use crate::layers::patch::PatchProjection;
use crate::params::check_finite;
use crate::pass::{Outputs, Pass};
use crate::workspace::{Own, Workspace};
use crate::{Config, Error, Params, PositionTable, Result, images_grid};

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
    pub(crate) config: Config,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) patch: PatchProjection,
    pub(crate) blocks: Vec<Block>,
    norm: Norm,
    /// Class token and registers, \[1 + r, d\].
    pub(crate) prefix: Vec<f32>,
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
        let (b, t) = (images.shape()[0], self.config.prefix() + grid.len());
        let fits = |(owner, table): &(Arc<_>, PositionTable)| {
            Arc::ptr_eq(owner, &self.positions) && table.grid == grid
        };
        if !workspace.positions.as_ref().is_some_and(fits) {
            let table = PositionTable::from_rows(&self.config, &self.positions, grid)?;
            workspace.positions = Some((self.positions.clone(), table));
        }
        let chunk = Chunk::new(self.arithmetic, &self.config);
        // Blocks between are written where all threads meet.
        let dealt = if blocks.is_empty() { b - b % workspace.threads } else { 0 };
        let deal = chunk.images(t).min(dealt / workspace.threads);
        workspace.shared.resize(self.arithmetic, &self.config, (b - dealt) * t);
        for own in &mut workspace.own {
            let Own { tokens, scratch } = own.get_mut().unwrap_or_else(PoisonError::into_inner);
            tokens.resize(self.arithmetic, &self.config, deal * t);
            scratch.resize(self.arithmetic, &self.config, &chunk, t);
        }
        features.shape(&self.config, (b, grid.len()), blocks.len());

        let Workspace { pool, images, positions, shared, own, .. } = workspace;
        let Some((_, positions)) = positions else { unreachable!("the table was made above") };
        let images = in_one_piece.unwrap_or(images);
        let pass = Pass { encoder: self, images, positions, grid, tokens: t, chunk, own, deal };
        let (outputs, between) = Outputs::new(features);
        let run = || pass.run(outputs, dealt, shared, (blocks, between));
        match pool {
            Some(pool) => pool.install(run),
            None => run(),
        }
        Ok(())
    }

    /// The final norm of the tokens `range` of every image.
    pub(crate) fn normed(&self, x: &[f32], t: usize, range: Range<usize>, out: &mut ArrayRef3<f32>) {
        let (d, stride_d) = (self.config.width, stride(self.config.width));
        for (image, mut out) in x.chunks_exact(t * stride_d).zip(out.outer_iter_mut()) {
            let rows = &image[range.start * stride_d..range.end * stride_d];
            let out = out.as_slice_mut().expect("our own arrays are contiguous");
            self.norm.forward(self.instructions(), (rows, stride_d), (out, d));
        }
    }

    /// The final norm of every class token.
    pub(crate) fn class(&self, x: &[f32], t: usize, out: &mut ArrayRef2<f32>) {
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
