//! A fine-tuned network at work, and as a file.

use std::path::Path;

use ndarray::{Array3, ArrayRef3};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::{Value, json};

use super::enlarge::Enlarge;
use super::loss::sigmoid;
use super::network::Standard;
use crate::images::{self, Normalisation};
use crate::weights::{self, LoadOptions, SaveOptions};
use crate::{Config, Encoder, Error, Params, Result, TiledPass, Tiling, Workspace, encode_picture};

/// The head's key in what a file's metadata say.
const KEY: &str = "head";

/// What a file's metadata say of its head.
#[derive(Debug, Deserialize)]
struct Said {
    classes: Vec<String>,
}

/// The linear head of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// What its input is standardised with.
    pub standard: Standard,
    /// \[c, d\], row by row.
    pub weight: Vec<f32>,
    /// \[c\]
    pub bias: Vec<f32>,
}

/// A fine-tuned network: pictures of any size to one probability a pixel and class.
#[derive(Debug)]
pub struct Tuned {
    encoder: Encoder,
    normalisation: Normalisation,
    head: Head,
}

impl Head {
    /// Checks that its numbers belong to a width of `d`.
    ///
    /// # Errors
    /// [`Error::Shape`] for the first that does not.
    fn check(&self, d: usize) -> Result<()> {
        let c = self.classes.len();
        for (what, expected, found) in [
            ("head.weight", c * d, self.weight.len()),
            ("head.bias", c, self.bias.len()),
            ("head.mean", d, self.standard.mean.len()),
            ("head.scale", d, self.standard.scale.len()),
        ] {
            if found != expected || c == 0 {
                return Err(Error::Shape {
                    what,
                    expected: format!("[{expected}] numbers"),
                    found: vec![found],
                });
            }
        }
        Ok(())
    }

    /// The tensors by their names in a file.
    fn tensors(&self) -> [(&'static str, Vec<usize>, &[f32]); 4] {
        let (c, d) = (self.classes.len(), self.standard.mean.len());
        [
            ("head.weight", vec![c, d], &self.weight),
            ("head.bias", vec![c], &self.bias),
            ("head.mean", vec![d], &self.standard.mean),
            ("head.scale", vec![d], &self.standard.scale),
        ]
    }
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
        head.check(config.width)?;
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
    /// [`Error::Io`], [`Error::Format`] for a file that is no fine-tuned network, and as [`weights::load`].
    pub fn load(path: &Path) -> Result<Self> {
        let bad =
            |found: String| Error::Format { path: path.to_owned(), expected: "a fine-tuned network", found };
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let Said { classes } =
            said(path, &bytes)?.ok_or_else(|| bad("no head in its metadata".to_owned()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        let loaded = weights::load(path, &LoadOptions::default())?;
        let numbers = |name: &str| {
            let view = file.tensor(name).map_err(|e| bad(format!("{name}: {e}")))?;
            let mut numbers = vec![0.0; view.shape().iter().product()];
            weights::numbers(name, &view, &mut numbers)?;
            Ok::<_, Error>(numbers)
        };
        let head = Head {
            classes,
            standard: Standard { mean: numbers("head.mean")?, scale: numbers("head.scale")? },
            weight: numbers("head.weight")?,
            bias: numbers("head.bias")?,
        };
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
        head.check(config.width)?;
        let said = json!({"classes": head.classes});
        let options = SaveOptions { normalisation: Some(normalisation.clone()), ..SaveOptions::default() };
        weights::save_beside(path, config, params, &options, (&head.tensors(), (KEY, said)))
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.head.classes
    }

    /// Channels that a picture must have; one grey channel is repeated where there are several.
    pub fn channels(&self) -> usize {
        self.encoder.config().channels
    }

    /// The probability of every class at every pixel: tiles of the size trained on, their tokens put together, then the head.
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
        let pass = TiledPass { tiling: Tiling::Overlap(None), batch: 8, workspace };
        let tokens = encode_picture(&self.encoder, &padded, pass)?;
        let (c, d, grid) = (self.head.classes.len(), config.width, tokens.grid);
        let mut rows = vec![0.0_f32; grid.len() * d];
        self.head.standard.apply(&tokens.patches.iter().copied().collect::<Vec<_>>(), &mut rows);
        let logit = |row: &[f32], class: usize| {
            let weights = &self.head.weight[class * d..(class + 1) * d];
            let product = |(&x, &w): (&f32, &f32)| f64::from(x) * f64::from(w);
            f64::from(self.head.bias[class]) + row.iter().zip(weights).map(product).sum::<f64>()
        };
        let small: Vec<f64> = rows
            .chunks_exact(d)
            .flat_map(|row| (0..c).map(move |class| (row, class)))
            .map(|(row, class)| logit(row, class))
            .collect();
        let enlarge = Enlarge::new(grid, config.patch);
        let mut large = vec![0.0_f64; enlarge.pixels() * c];
        enlarge.forward(c, &small, &mut large);
        let across = grid.columns * config.patch;
        let probability = |(class, y, x)| sigmoid(large[(y * across + x) * c + class]);
        Ok(Array3::from_shape_fn((c, height, width), probability))
    }
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
