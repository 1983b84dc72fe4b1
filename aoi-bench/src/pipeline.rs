//! From a picture to its mask on request: encoder, exact search in a bank of labelled patches, mixing, thresholds.
//!
//! The request `mask OUT` is answered with the `seconds` from a picture in memory to its mask; the mask \[c, h, w\] goes to OUT as `.npy`. Peers
//! find the same bank, labels and picture as `.npy` files in the folder of [`Inputs::write`].

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use aoi::patch_encoder::{PatchEncoder, VitOptions, open};
use aoi::segment::{Segmenter, Settings};
use aoi_encoder::weights::LoadOptions;
use aoi_encoder::{Config, Precision};
use aoi_retrieval::ndarray::{Array3, Array4, s};
use aoi_retrieval::{Bank, CompleteLabels, Labels, PatchShape};
use aoi_testing::Seeded;
use ndarray_npy::WriteNpyExt;
use serde_json::json;

use crate::error::Error;

/// Pixels along a labelled picture.
pub const SIDE: usize = 256;
/// What the drawn masks show.
pub const CLASSES: [&str; 2] = ["left", "dark"];

/// A drawn picture \[channels, side, side\], entries from 0 to 1: blotches rather than noise, so that patches differ.
pub fn picture(seed: u64, side: usize, channels: usize) -> Array3<f32> {
    let mut random = Seeded::new(seed);
    let blotches: Vec<f32> =
        random.normals_f32(channels * 64).iter().map(|n| (0.45 + 0.2 * n).clamp(0.0, 0.9)).collect();
    Array3::from_shape_fn((channels, side, side), |(c, y, x)| {
        let fine = ((x * 13 + y * 7) % 32) as f32 / 320.0;
        blotches[c * 64 + y * 8 / side * 8 + x * 8 / side] + fine
    })
}

/// The mask of a drawn picture, \[2, h, w\]: it follows from place and brightness.
pub fn mask(picture: &Array3<f32>) -> Array3<u8> {
    let (_, height, width) = picture.dim();
    Array3::from_shape_fn((CLASSES.len(), height, width), |(class, y, x)| {
        u8::from(if class == 0 { x < width / 2 } else { picture[[0, y, x]] < 0.4 })
    })
}

/// A bank of at least `rows` patches of drawn pictures, and their masks one patch after another, \[rows, 2, p, p\].
///
/// # Errors
/// When the encoder cannot encode pictures of [`SIDE`] pixels.
pub fn bank(encoder: &dyn PatchEncoder, rows: usize) -> Result<(Bank, Array4<u8>), Error> {
    let p = encoder.patch();
    let shape = PatchShape { patch: p, classes: CLASSES.len() };
    let empty = Labels::Complete(CompleteLabels::empty(shape)?);
    let mut bank = Bank::new(encoder.width(), CLASSES.map(str::to_owned).to_vec(), empty)?;
    bank.set_attribute("encoder", encoder.identity());
    let (mut images, mut patches) = (0, Vec::new());
    while bank.rows() < rows {
        let picture = picture(100 + images, SIDE, encoder.channels());
        let mask = mask(&picture);
        let keys = encoder.encode(&picture)?.patches;
        let labels = CompleteLabels::from_image(mask.view(), p)?;
        bank.add_image(&images.to_string(), keys.view(), &Labels::Complete(labels))?;
        for at in 0..keys.nrows() {
            let (y, x) = (at / (SIDE / p) * p, at % (SIDE / p) * p);
            patches.extend(mask.slice(s![.., y..y + p, x..x + p]).iter());
        }
        images += 1;
    }
    let patches = Array4::from_shape_vec((bank.rows(), CLASSES.len(), p, p), patches);
    Ok((bank, patches.unwrap_or_else(|_| unreachable!("a mask for every patch"))))
}

/// What a mask is made from.
pub struct Inputs {
    encoder: Box<dyn PatchEncoder>,
    bank: Bank,
    patches: Array4<u8>,
    picture: Array3<f32>,
    threads: usize,
}

impl std::fmt::Debug for Inputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut inputs = f.debug_struct("Inputs");
        inputs
            .field("encoder", &self.encoder.identity())
            .field("rows", &self.bank.rows())
            .finish_non_exhaustive()
    }
}

impl Inputs {
    /// A bank of at least `rows` patches by the encoder of a weights file, and a picture of `side` pixels that is not in it.
    ///
    /// # Errors
    /// When the weights are damaged, or not those of the preset.
    pub fn draw(
        weights: &Path,
        (preset, precision): (&str, Precision),
        (rows, side): (usize, usize),
        threads: usize,
    ) -> Result<Self, Error> {
        // Pixels as they are: peers have no normalisation to imitate.
        let (mean, std) = (Some(vec![0.0]), Some(vec![1.0]));
        let load = LoadOptions { config: Some(Config::preset(preset)?), ..LoadOptions::default() };
        let options = VitOptions { load, mean, std, threads, precision, ..VitOptions::default() };
        let (encoder, _) = open(weights, &options)?;
        let (bank, patches) = bank(encoder.as_ref(), rows)?;
        let picture = picture(7, side, encoder.channels());
        Ok(Self { encoder, bank, patches, picture, threads })
    }

    /// Writes `keys.npy` \[rows, d\], `labels.npy` \[rows, c, p, p\] and `picture.npy` \[channels, h, w\].
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        write_npy(&self.bank.keys().to_owned(), &folder.join("keys.npy"))?;
        write_npy(&self.patches, &folder.join("labels.npy"))?;
        write_npy(&self.picture, &folder.join("picture.npy"))
    }

    /// Answers requests until the input ends.
    ///
    /// # Errors
    /// When a request is not understood, or a stream or file fails.
    pub fn serve(&self, requests: impl BufRead, mut answers: impl Write) -> Result<(), Error> {
        let settings = Settings { k: 30, ..Settings::default() };
        let segmenter = Segmenter::new(self.encoder.as_ref(), &self.bank, settings, self.threads)?;
        for line in requests.lines() {
            let line = line.map_err(Error::file(Path::new("requests")))?;
            let Some(("mask", out)) = line.split_once(' ') else {
                let (what, expected) = ("a request".to_owned(), "mask OUT".to_owned());
                return Err(Error::Answer { what, expected, got: line });
            };
            let start = Instant::now();
            let mask = segmenter.predict(&self.picture)?;
            let seconds = start.elapsed().as_secs_f64();
            write_npy(&mask, Path::new(out))?;
            let answer = json!({"seconds": seconds, "rows": self.bank.rows()});
            writeln!(answers, "{answer}")
                .and_then(|()| answers.flush())
                .map_err(Error::file(Path::new("answers")))?;
        }
        Ok(())
    }
}

fn write_npy(array: &impl WriteNpyExt, path: &Path) -> Result<(), Error> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).map_err(Error::file(path))?);
    array.write_npy(&mut file).map_err(std::io::Error::other).map_err(Error::file(path))?;
    file.flush().map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::drawn;
    use aoi_encoder::weights;
    use ndarray_npy::ReadNpyExt;

    #[test]
    fn the_mask_is_the_segmenters_and_labels_lie_patch_by_patch() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { depth: 1, ..Config::paper() };
        let path = folder.path().join("encoder.safetensors");
        weights::save(&path, &config, &drawn(&config, 1).unwrap()).unwrap();
        // The file says what it is; a preset would contradict the depth.
        let (encoder, _) = open(&path, &VitOptions::default()).unwrap();
        let (bank, patches) = bank(encoder.as_ref(), 257).unwrap();
        assert_eq!((bank.rows(), patches.dim()), (512, (512, 2, 16, 16)));
        let first = mask(&picture(100, SIDE, 2));
        assert_eq!(patches[[17, 1, 3, 5]], first[[1, 16 + 3, 16 + 5]], "second row of patches, second patch");

        let picture = picture(7, 64, 2);
        let inputs = Inputs { encoder, bank, patches, picture, threads: 1 };
        inputs.write(folder.path()).unwrap();
        let read = |name: &str| std::fs::File::open(folder.path().join(name)).unwrap();
        assert_eq!(Array4::<u8>::read_npy(read("labels.npy")).unwrap(), inputs.patches);
        let out = folder.path().join("mask.npy");
        let mut answers = Vec::new();
        inputs.serve(format!("mask {}\n", out.display()).as_bytes(), &mut answers).unwrap();
        let found = Array3::<u8>::read_npy(read("mask.npy")).unwrap();
        let settings = Settings { k: 30, ..Settings::default() };
        let segmenter = Segmenter::new(inputs.encoder.as_ref(), &inputs.bank, settings, 2).unwrap();
        assert_eq!(found, segmenter.predict(&inputs.picture).unwrap());
        assert!(found.iter().any(|&bit| bit == 1) && String::from_utf8(answers).unwrap().contains("seconds"));
        assert!(inputs.serve("face x\n".as_bytes(), &mut Vec::new()).is_err());
    }
}
