//! Patches by a vision transformer.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aoi_encoder::images::{Normalisation, pad, repeat_grey, resize};
use aoi_encoder::ndarray::{Array1, ArrayRef3};
use aoi_encoder::weights::{LoadOptions, load};
use aoi_encoder::{
    Config, Encoder, EncoderOptions, PictureTokens, Precision, TiledPass, Tiling, Whitening, Workspace,
    encode_picture,
};
use sha2::{Digest, Sha256};

use super::{EncodedPicture, PatchEncoder};
use crate::{Error, Result};

/// How pictures are prepared for a transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct VitOptions {
    /// What the weights file does not say.
    pub load: LoadOptions,
    /// Mean of each channel on pixels of 0 to 1, or one for all; without, that of the weights file, else that of [`Normalisation::new`].
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of each channel, or one for all.
    pub std: Option<Vec<f32>>,
    /// Pixels of the picture along one side of a patch; the picture is enlarged or reduced so that they become one patch of the encoder.
    ///
    /// Without it, the patch of the encoder: no resizing. A smaller number gives finer masks of small pictures.
    pub cell: Option<usize>,
    /// What is done with pictures larger than those the encoder was trained on.
    pub tiling: Tiling,
    /// Tiles in one forward pass; results do not depend on it.
    pub batch: usize,
    /// Threads of the forward pass; results do not depend on it.
    pub threads: usize,
    /// The numbers that products are made of; patches of one precision are not looked up among those of another.
    pub precision: Precision,
}

impl Default for VitOptions {
    fn default() -> Self {
        Self {
            load: LoadOptions::default(),
            mean: None,
            std: None,
            cell: None,
            tiling: Tiling::Overlap(None),
            batch: 8,
            threads: 1,
            precision: Precision::F32,
        }
    }
}

/// A vision transformer as a [`PatchEncoder`], patches whitened where the weights file says how; its whole-picture vector is the class token, the mean of the tiles' where there are several.
#[derive(Debug)]
pub struct VitEncoder {
    encoder: Encoder,
    normalisation: Normalisation,
    whitening: Option<Whitening>,
    cell: usize,
    tiling: Tiling,
    batch: usize,
    workspace: Mutex<Workspace>,
    identity: String,
}

impl VitEncoder {
    /// Loads weights of any family that [`aoi_encoder::weights::load`] knows; the words say what was guessed.
    ///
    /// # Errors
    /// When the weights cannot be loaded or an option is impossible.
    pub fn load(path: &Path, options: &VitOptions) -> Result<(Self, Vec<String>)> {
        let weights = load(path, &options.load)?;
        let file = if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() };
        let bytes = std::fs::read(&file).map_err(Error::io(&file))?;
        let digest = super::short(&Sha256::digest(&bytes));
        let how = EncoderOptions { precision: options.precision, ..EncoderOptions::default() };
        let encoder = Encoder::with_options(&weights.config, &weights.params, &how)?;
        let name = match options.precision {
            Precision::Bf16 => format!("{digest} in bf16"),
            _ => digest,
        };
        let Normalisation { mean, std } =
            weights.normalisation(options.mean.as_deref(), options.std.as_deref())?;
        let options = VitOptions { mean: Some(mean), std: Some(std), ..options.clone() };
        let wrapped = Self::new(encoder, &name, &options)?;
        Ok((Self { whitening: weights.whitening, ..wrapped }, weights.notes))
    }

    /// Wraps an encoder; `name` tells its weights and precision from others.
    ///
    /// # Errors
    /// When an option is impossible.
    pub fn new(encoder: Encoder, name: &str, options: &VitOptions) -> Result<Self> {
        let Config { channels, patch, .. } = *encoder.config();
        let normalisation = Normalisation::new(channels, options.mean.as_deref(), options.std.as_deref())?;
        let cell = options.cell.unwrap_or(patch);
        if !(1..=8 * patch).contains(&cell) {
            return Err(Error::option("cell", format!("1 to {} pixels", 8 * patch), cell));
        }
        if options.batch == 0 {
            return Err(Error::option("batch", "1 or more", 0));
        }
        let Normalisation { mean, std } = &normalisation;
        let tiling = options.tiling;
        let identity =
            format!("vit {name}, cell {cell}, channels {channels}, mean {mean:?}, std {std:?}, {tiling:?}");
        Ok(Self {
            encoder,
            normalisation,
            whitening: None,
            cell,
            tiling,
            batch: options.batch,
            workspace: Mutex::new(Workspace::new(options.threads)?),
            identity,
        })
    }
}

impl PatchEncoder for VitEncoder {
    fn patch(&self) -> usize {
        self.cell
    }

    fn width(&self) -> usize {
        self.encoder.config().width
    }

    fn channels(&self) -> usize {
        self.encoder.config().channels
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn encode(&self, picture: &ArrayRef3<f32>) -> Result<EncodedPicture> {
        let config = self.encoder.config();
        let p = config.patch;
        let mut picture = repeat_grey(picture.to_owned(), config.channels)?;
        self.normalisation.apply(&mut picture)?;
        let padded = pad(&picture, self.cell);
        let (_, height, width) = padded.dim();
        let padded = resize(&padded, height / self.cell * p, width / self.cell * p)?;
        // A poisoned lock only means that another picture failed: the buffers are written before they are read.
        let mut workspace = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = TiledPass { tiling: self.tiling, batch: self.batch, workspace: &mut workspace };
        let PictureTokens { grid, patches, class } = encode_picture(&self.encoder, &padded, pass)?;
        let patches = match &self.whitening {
            Some(whitening) => whitening.apply(&patches),
            None => patches,
        };
        Ok(EncodedPicture { grid, patches, whole: Array1::from_vec(class) })
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "numbers made for a test")]
mod tests {
    use std::sync::Arc;

    use aoi_encoder::ndarray::{Array3, Axis};
    use aoi_encoder::{Grid, Params, Table};
    use aoi_testing::Seeded;

    use super::*;

    fn encoder() -> Encoder {
        let config = Config {
            patch: 8,
            width: 16,
            depth: 2,
            heads: 2,
            hidden: 32,
            grid: Grid { rows: 4, columns: 4 },
            ..Config::paper()
        };
        let mut params = Params::<f32>::zeros(Arc::new(Table::new(&config).unwrap()));
        let mut seeded = Seeded::new(5);
        params.values_mut().iter_mut().for_each(|v| *v = 0.2 * seeded.normal() as f32);
        Encoder::new(&config, &params).unwrap()
    }

    fn picture(height: usize, width: usize) -> Array3<f32> {
        let mut seeded = Seeded::new(8);
        Array3::from_shape_simple_fn((2, height, width), || seeded.unit() as f32)
    }

    #[test]
    fn an_encoder_is_itself_on_pictures_of_its_size() {
        let options = VitOptions::default();
        let vit = VitEncoder::new(encoder(), "test", &options).unwrap();
        let mut picture = picture(32, 24);
        let encoded = vit.encode(&picture).unwrap();
        Normalisation::new(2, None, None).unwrap().apply(&mut picture).unwrap();
        let batch = picture.insert_axis(Axis(0));
        let direct = encoder().forward(&batch, &[], &mut Workspace::new(1).unwrap()).unwrap();
        assert_eq!(encoded.grid, Grid { rows: 4, columns: 3 });
        // A single tile is weighed and divided by its weight: at most one rounding.
        aoi_testing::assert_all_close(
            encoded.patches.as_slice().unwrap(),
            direct.patches.as_slice().unwrap(),
            0.0,
            2e-7,
        );
        assert_eq!(encoded.whole, direct.class.row(0));
    }

    #[test]
    fn patches_in_bf16_are_near_those_in_f32_and_not_taken_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("encoder.safetensors");
        let config = Config { width: 32, heads: 2, hidden: 64, depth: 2, ..Config::paper() };
        let mut params = Params::<f32>::zeros(Arc::new(Table::new(&config).unwrap()));
        let mut seeded = Seeded::new(6);
        params.values_mut().iter_mut().for_each(|v| *v = 0.2 * seeded.normal() as f32);
        aoi_encoder::weights::save(&path, &config, &params).unwrap();
        let open = |precision| {
            VitEncoder::load(&path, &VitOptions { precision, ..VitOptions::default() }).unwrap().0
        };
        let (exact, rough) = (open(Precision::F32), open(Precision::Bf16));
        assert_ne!(exact.identity(), rough.identity());
        let picture = picture(64, 64);
        let (exact, rough) = (exact.encode(&picture).unwrap(), rough.encode(&picture).unwrap());
        assert_ne!(exact.patches, rough.patches);
        let (exact, rough) = (exact.patches.as_slice().unwrap(), rough.patches.as_slice().unwrap());
        let largest = exact.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let off = exact.iter().zip(rough).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(off < 0.1 * largest, "off by {off} of {largest}");
    }

    #[test]
    fn neither_batch_nor_threads_change_a_bit_of_tiled_pictures() {
        let run = |batch, threads| {
            let options = VitOptions { batch, threads, ..VitOptions::default() };
            VitEncoder::new(encoder(), "test", &options).unwrap().encode(&picture(75, 61)).unwrap()
        };
        let one = run(1, 1);
        assert_eq!(one.grid, Grid { rows: 10, columns: 8 });
        assert_eq!(one, run(5, 1));
        assert_eq!(one, run(100, 3));
    }

    #[test]
    fn a_smaller_cell_gives_more_patches_of_fewer_pixels() {
        let options = VitOptions { cell: Some(4), ..VitOptions::default() };
        let vit = VitEncoder::new(encoder(), "test", &options).unwrap();
        assert_eq!(vit.patch(), 4);
        assert_eq!(vit.encode(&picture(15, 9)).unwrap().grid, Grid { rows: 4, columns: 3 });
        assert_ne!(
            vit.identity(),
            VitEncoder::new(encoder(), "test", &VitOptions::default()).unwrap().identity()
        );
    }

    #[test]
    fn what_cannot_be_encoded_is_an_error() {
        let vit = VitEncoder::new(encoder(), "test", &VitOptions::default()).unwrap();
        assert!(vit.encode(&Array3::zeros((3, 16, 16))).is_err(), "three channels for two");
        assert!(vit.encode(&Array3::zeros((2, 0, 16))).is_err(), "no pixel");
        assert!(vit.encode(&Array3::from_elem((2, 16, 16), f32::NAN)).is_err(), "NaN");
        for options in [
            VitOptions { cell: Some(0), ..VitOptions::default() },
            VitOptions { batch: 0, ..VitOptions::default() },
            VitOptions { threads: 0, ..VitOptions::default() },
            VitOptions { std: Some(vec![0.0]), ..VitOptions::default() },
        ] {
            assert!(VitEncoder::new(encoder(), "test", &options).is_err(), "{options:?}");
        }
    }
}
