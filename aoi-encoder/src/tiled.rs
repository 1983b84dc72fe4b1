//! One picture of any size through an encoder: its tiles encoded, their tokens put together.

use ndarray::{Array2, Array4, ArrayRef3, Axis, s};

use crate::images::{Stitch, Tile, tiles};
use crate::{Config, Encoder, Error, Features, Grid, Result, Workspace};

/// What is done with pictures larger than the encoder's training images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiling {
    /// Tiles of the training size, neighbours sharing at least this many patches, by default a quarter of the shorter side. Class token and registers are
    /// then the mean of the tiles'.
    Overlap(Option<usize>),
    /// Never: positions are resampled for the whole picture.
    Whole,
}

impl Tiling {
    /// The tiles of a picture of `whole` patches, and how many patches neighbours share at least.
    ///
    /// # Errors
    /// As [`tiles`].
    pub(crate) fn tiles(self, config: &Config, whole: Grid) -> Result<(Vec<Tile>, usize)> {
        let (crop, overlap) = match self {
            Self::Overlap(overlap) => (config.grid, overlap),
            Self::Whole => (whole, None),
        };
        let overlap = overlap.unwrap_or(crop.rows.min(crop.columns) / 4);
        Ok((tiles(whole, crop, overlap)?, overlap))
    }
}

/// The pixels of tiles, one or more and all of one size, as a batch.
///
/// # Shapes
/// Pictures \[c, height, width\], `patch` pixels along one side of a patch -> \[tiles, c, rows * patch, columns * patch\]
pub(crate) fn cut<'a>(
    jobs: impl ExactSizeIterator<Item = (&'a ArrayRef3<f32>, Tile)> + Clone,
    patch: usize,
) -> Array4<f32> {
    let size = jobs.clone().next().map_or((0, 0, 0), |(picture, Tile { grid, .. })| {
        (picture.dim().0, grid.rows * patch, grid.columns * patch)
    });
    let (channels, rows, columns) = size;
    let mut batch = Array4::zeros((jobs.len(), channels, rows, columns));
    for (mut target, (picture, tile)) in batch.outer_iter_mut().zip(jobs) {
        let (y, x) = (tile.row * patch, tile.column * patch);
        target.assign(&picture.slice(s![.., y..y + rows, x..x + columns]));
    }
    batch
}

/// The tokens of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureTokens {
    /// The patches, down and across.
    pub grid: Grid,
    /// One row a patch, in reading order, \[t, d\].
    pub patches: Array2<f32>,
    /// The class token, the mean of the tiles' where there are several, \[d\].
    pub class: Vec<f32>,
}

/// How one picture is encoded; neither number changes a result.
#[derive(Debug)]
pub struct TiledPass<'a> {
    /// What is done with a picture larger than those the encoder was trained on.
    pub tiling: Tiling,
    /// Tiles in one forward pass.
    pub batch: usize,
    /// Threads and memory.
    pub workspace: &'a mut Workspace,
}

/// Encodes a normalised picture.
///
/// # Shapes
/// `picture` \[c, height, width\], sides multiples of the patch.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Config`] for a picture that is not the encoder's or a batch of zero.
#[expect(clippy::cast_possible_truncation, reason = "the mean of f32 tokens goes back to f32")]
pub fn encode_picture(
    encoder: &Encoder,
    picture: &ArrayRef3<f32>,
    pass: TiledPass<'_>,
) -> Result<PictureTokens> {
    let grid = whole_grid(encoder, picture)?;
    let mut stitch = Stitch::new(grid, encoder.config().width);
    let mut class = vec![0.0_f64; encoder.config().width];
    let tiles = each_group(encoder, picture, pass, &[], |group, features, _| {
        for (i, tile) in group.iter().enumerate() {
            stitch.add(*tile, &features.patches.index_axis(Axis(0), i))?;
            class.iter_mut().zip(features.class.row(i)).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        Ok(())
    })?;
    let class = class.iter().map(|sum| (sum / tiles as f64) as f32).collect();
    Ok(PictureTokens { grid, patches: stitch.finish()?, class })
}

/// The patches of a picture.
pub(crate) fn whole_grid(encoder: &Encoder, picture: &ArrayRef3<f32>) -> Result<Grid> {
    let (c, height, width) = picture.dim();
    crate::images_grid(encoder.config(), &[1, c, height, width])
}

/// Encodes the tiles of a normalised picture and hands them out, a batch at a time, with what the encoder made of them (`blocks` of the
/// intermediate ones) and the threads that it used. Returns how many tiles there are.
///
/// # Errors
/// As [`encode_picture`], and what `visit` returns.
pub(crate) fn each_group(
    encoder: &Encoder,
    picture: &ArrayRef3<f32>,
    pass: TiledPass<'_>,
    blocks: &[usize],
    mut visit: impl FnMut(&[Tile], &Features, Option<&rayon::ThreadPool>) -> Result<()>,
) -> Result<usize> {
    let TiledPass { tiling, batch, workspace } = pass;
    if batch == 0 {
        return Err(Error::config("batch", "1 or more", &0));
    }
    let config = encoder.config();
    let (tiles, _) = tiling.tiles(config, whole_grid(encoder, picture)?)?;
    let mut features = Features::default();
    for group in tiles.chunks(batch) {
        let images = cut(group.iter().map(|&tile| (picture, tile)), config.patch);
        encoder.forward_into(&images, blocks, workspace, &mut features)?;
        visit(group, &features, workspace.pool.as_ref())?;
    }
    Ok(tiles.len())
}
