//! One picture of any size through an encoder: its tiles encoded, their tokens put together.

use ndarray::{Array2, Array4, ArrayRef3, Axis, s};

use crate::images::{Stitch, Tile, tiles};
use crate::{Encoder, Error, Features, Grid, Result, Tiling, Workspace};

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
    let (p, c) = (config.patch, picture.dim().0);
    let whole = whole_grid(encoder, picture)?;
    let crop = match tiling {
        Tiling::Overlap(_) => config.grid,
        Tiling::Whole => whole,
    };
    let overlap = match tiling {
        Tiling::Overlap(Some(overlap)) => overlap,
        _ => crop.rows.min(crop.columns) / 4,
    };
    let tiles = tiles(whole, crop, overlap)?;
    let mut features = Features::default();
    for group in tiles.chunks(batch) {
        let (rows, columns) = (group[0].grid.rows * p, group[0].grid.columns * p);
        let mut images = Array4::zeros((group.len(), c, rows, columns));
        for (mut target, tile) in images.outer_iter_mut().zip(group) {
            let (y, x) = (tile.row * p, tile.column * p);
            target.assign(&picture.slice(s![.., y..y + rows, x..x + columns]));
        }
        encoder.forward_into(&images, blocks, workspace, &mut features)?;
        visit(group, &features, workspace.pool.as_ref())?;
    }
    Ok(tiles.len())
}
