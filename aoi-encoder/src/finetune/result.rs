//! A fine-tuned network at work, and as a file.

use std::path::Path;

use ndarray::{Array2, Array3, ArrayRef3, Axis};
use rayon::prelude::*;
use safetensors::SafeTensors;
use serde_json::Value;

use super::enlarge::Enlarge;
use super::head::{Said, upernet_table};
use super::loss::sigmoid;
use super::upernet::{self, Upernet, UpernetTape};
use super::{Head, HeadLayers, Standard};
use crate::images::{self, Normalisation, Stitch, Tile};
use crate::tiled::{each_group, whole_grid};
use crate::weights::{self, LoadOptions, SaveOptions};
use crate::{
    Config, Encoder, Error, Features, Grid, Params, Result, TiledPass, Tiling, Workspace, encode_picture,
};

/// The head's key in what a file's metadata say.
const KEY: &str = "head";

/// A fine-tuned network: pictures of any size to one probability a pixel and class.
#[derive(Debug)]
pub struct Tuned {
    encoder: Encoder,
    normalisation: Normalisation,
    head: Head,
}

impl Tuned {
    /// An encoder with a head.
    ///
    /// # Errors
    /// As [`Encoder::new`]; [`Error::Shape`] when the head belongs to another width.
    pub fn new(
        config: &Config,
        params: &Params<f32>,
        normalisation: Normalisation,
        head: Head,
    ) -> Result<Self> {
        head.tensors(config)?;
        Ok(Self { encoder: Encoder::new(config, params)?, normalisation, head })
    }

    /// Whether `path` holds a fine-tuned network, told by its metadata.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] for a file that is not safetensors.
    pub fn is_file(path: &Path) -> Result<bool> {
        if path.is_dir() {
            return Ok(false);
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Ok(said(path, &bytes)?.is_some())
    }

    /// Reads what [`Tuned::write`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`] for a file that is no fine-tuned network or whose head does not fit (every tensor is named), and as [`weights::load`].
    pub fn load(path: &Path) -> Result<Self> {
        let bad =
            |found: String| Error::Format { path: path.to_owned(), expected: "a fine-tuned network", found };
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let said = said(path, &bytes)?.ok_or_else(|| bad("no head in its metadata".to_owned()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        let loaded = weights::load_bytes(path, &bytes, &LoadOptions::default())?;
        let head = said.read(&loaded.config, &file, &bad)?;
        let normalisation = loaded.normalisation(None, None)?;
        Self::new(&loaded.config, &loaded.params, normalisation, head).map_err(|e| match e {
            Error::Shape { .. } => bad(e.to_string()),
            other => other,
        })
    }

    /// Writes an encoder and its head, whole or not at all; [`weights::load`] reads the encoder of it.
    ///
    /// # Errors
    /// As [`weights::save_with`]; [`Error::Shape`] when the head belongs to another width.
    pub fn write(
        path: &Path,
        (config, params): (&Config, &Params<f32>),
        normalisation: &Normalisation,
        head: &Head,
    ) -> Result<()> {
        let tensors = head.tensors(config)?;
        let options = SaveOptions { normalisation: Some(normalisation.clone()), ..SaveOptions::default() };
        let tensors: Vec<_> = tensors.iter().map(|(n, shape, v)| (&n[..], shape.clone(), *v)).collect();
        weights::save_beside(path, config, params, &options, (&tensors, (KEY, head.said())))
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.head.classes
    }

    /// Channels that a picture must have; one grey channel is repeated where there are several.
    pub fn channels(&self) -> usize {
        self.encoder.config().channels
    }

    /// The probability of every class at every pixel, by tiles of the size trained on. A linear head reads the tokens of all tiles put together; one over
    /// several blocks, whose coarse grids are those of a tile, reads every tile by itself, and its logits are put together.
    ///
    /// # Shapes
    /// `picture` \[channels, height, width\], 0 to 1 -> \[c, height, width\]
    ///
    /// # Errors
    /// When the picture has other channels, no pixel, or a value that is not finite.
    pub fn probabilities(&self, picture: &ArrayRef3<f32>, workspace: &mut Workspace) -> Result<Array3<f64>> {
        let config = self.encoder.config();
        let (_, height, width) = picture.dim();
        let mut picture = images::repeat_grey(picture.to_owned(), config.channels)?;
        self.normalisation.apply(&mut picture)?;
        let padded = images::pad(&picture, config.patch);
        let grid = whole_grid(&self.encoder, &padded)?;
        let pass = TiledPass { tiling: Tiling::Overlap(None), batch: 8, workspace };
        let small = match &self.head.layers {
            HeadLayers::Linear { standard, weight, bias } => {
                let tokens = encode_picture(&self.encoder, &padded, pass)?;
                linear(&tokens.patches, standard, (weight, bias))
            }
            HeadLayers::Upernet { .. } => self.tiles(&padded, grid, pass)?,
        };
        let c = self.head.classes.len();
        let enlarge = Enlarge::of_patches(grid, config.patch);
        let mut large = vec![0.0_f64; enlarge.pixels() * c];
        enlarge.forward(c, &small, &mut large);
        let across = grid.columns * config.patch;
        let probability = |(class, y, x)| sigmoid(large[(y * across + x) * c + class]);
        Ok(Array3::from_shape_fn((c, height, width), probability))
    }

    /// Logits of every patch, each tile through the head over several blocks.
    fn tiles(&self, picture: &ArrayRef3<f32>, grid: Grid, pass: TiledPass<'_>) -> Result<Vec<f64>> {
        let (config, c) = (self.encoder.config(), self.head.classes.len());
        let HeadLayers::Upernet { width, values, statistics } = &self.head.layers else {
            return Ok(Vec::new());
        };
        let table = upernet_table(config, c, *width)?;
        let mut stitch = Stitch::new(grid, c);
        let logits = |(i, tile): (usize, &Tile), features: &Features| {
            let head = Upernet::new(&table, config, *width, tile.grid);
            let rows = |block: &Array3<f32>| block.index_axis(Axis(0), i).iter().copied().collect();
            let levels: Vec<Vec<f32>> = features.blocks.iter().map(rows).collect();
            let mut small = Array2::zeros((tile.grid.len(), c));
            let numbers = small.as_slice_mut().expect("just made");
            head.forward(values, &levels, Some(statistics), &mut UpernetTape::default(), numbers);
            small
        };
        each_group(&self.encoder, picture, pass, &upernet::levels(config), |group, features, pool| {
            let every = || group.par_iter().enumerate().map(|tile| logits(tile, features)).collect();
            let found: Vec<Array2<f32>> = match pool {
                Some(pool) => pool.install(every),
                None => group.iter().enumerate().map(|tile| logits(tile, features)).collect(),
            };
            group.iter().zip(&found).try_for_each(|(tile, logits)| stitch.add(*tile, logits))
        })?;
        Ok(stitch.finish()?.iter().copied().map(f64::from).collect())
    }
}

/// Logits of every patch by a linear layer, in f64.
fn linear(patches: &Array2<f32>, standard: &Standard, (weight, bias): (&[f32], &[f32])) -> Vec<f64> {
    let d = patches.ncols();
    let mut rows = vec![0.0_f32; patches.len()];
    standard.apply(&patches.iter().copied().collect::<Vec<_>>(), &mut rows);
    let logit = |row: &[f32], class: usize| {
        let product = |(&x, &w): (&f32, &f32)| f64::from(x) * f64::from(w);
        let sum = row.iter().zip(&weight[class * d..(class + 1) * d]).map(product).sum::<f64>();
        f64::from(bias[class]) + sum
    };
    rows.chunks_exact(d)
        .flat_map(|row| (0..bias.len()).map(move |class| (row, class)))
        .map(|(row, class)| logit(row, class))
        .collect()
}

/// What the metadata of a file say of a head.
fn said(path: &Path, bytes: &[u8]) -> Result<Option<Said>> {
    let bad = |found: String| Error::Format { path: path.to_owned(), expected: "a safetensors file", found };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
    let Some(text) = metadata.metadata().as_ref().and_then(|m| m.get(weights::METADATA_KEY)) else {
        return Ok(None);
    };
    let damaged = |e: serde_json::Error| bad(format!("head in the metadata: {e}"));
    let mut said: Value = serde_json::from_str(text).map_err(damaged)?;
    said.get_mut(KEY).map(|head| serde_json::from_value(head.take()).map_err(damaged)).transpose()
}
