//! What turns a picture into one vector a patch: one trait for every encoder, learned or not.

mod pca;
mod vit;

use std::path::Path;

use aoi_encoder::Grid;
use aoi_encoder::ndarray::{Array1, Array2, ArrayRef3};

pub use self::pca::{PcaEncoder, PcaOptions};
pub use self::vit::{VitEncoder, VitOptions};
use crate::Result;

/// A picture as vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedPicture {
    /// The patches, down and across; the last ones may reach beyond the picture.
    pub grid: Grid,
    /// One row a patch, in reading order, \[t, d\].
    pub patches: Array2<f32>,
    /// One vector for the whole picture, of a width of its own.
    pub whole: Array1<f32>,
}

/// One vector a patch, for pictures of any size.
///
/// An implementation does everything between the pixels of a file and the vectors: normalising, padding, enlarging, tiling. The vectors of
/// a picture depend on that picture alone.
pub trait PatchEncoder: Send + Sync {
    /// Pixels of the picture along one side of a patch, p.
    fn patch(&self) -> usize;

    /// Numbers per patch, d.
    fn width(&self) -> usize;

    /// Channels that a picture must have; one grey channel is repeated where there are several.
    fn channels(&self) -> usize;

    /// What tells this encoder, settings included, from any other: vectors of encoders with different words must not be compared.
    fn identity(&self) -> &str;

    /// Encodes one picture.
    ///
    /// # Shapes
    /// `picture` \[c, height, width\] with values 0 to 1, not normalised -> `ceil(height / p)` by `ceil(width / p)` patches.
    ///
    /// # Errors
    /// When the picture has another number of channels, no pixel, or a value that is not finite.
    fn encode(&self, picture: &ArrayRef3<f32>) -> Result<EncodedPicture>;
}

/// Opens `path`: pixel patches where its metadata say so ([`PcaEncoder::save`]), else the weights of a vision transformer.
///
/// The words that come back say what was guessed or adapted.
///
/// # Errors
/// When the file cannot be read or is neither.
///
/// # Examples
/// ```
/// use aoi::patch_encoder::{PatchEncoder, PcaEncoder, PcaOptions, VitOptions, open};
/// use aoi_encoder::ndarray::Array3;
///
/// let picture = Array3::from_shape_fn((1, 40, 48), |(_, y, x)| ((x * y) % 7) as f32 / 7.0);
/// let fitted = PcaEncoder::fit(&[picture.clone()], &PcaOptions { patch: 8, width: 12, ..PcaOptions::default() })?;
/// let folder = tempfile::tempdir().expect("a temporary folder");
/// let path = folder.path().join("patches.safetensors");
/// fitted.save(&path)?;
///
/// let (encoder, notes) = open(&path, &VitOptions::default())?;
/// assert_eq!(encoder.encode(&picture)?, fitted.encode(&picture)?);
/// assert!(notes.is_empty());
/// # Ok::<(), aoi::Error>(())
/// ```
pub fn open(path: &Path, options: &VitOptions) -> Result<(Box<dyn PatchEncoder>, Vec<String>)> {
    if PcaEncoder::is_file(path)? {
        return Ok((Box::new(PcaEncoder::load(path)?), Vec::new()));
    }
    let (encoder, notes) = VitEncoder::load(path, options)?;
    Ok((Box::new(encoder), notes))
}

/// The first eight bytes of a digest, in hexadecimal: enough to tell two encoders apart.
fn short(digest: &[u8]) -> String {
    let word = digest.iter().take(8).fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
    format!("{word:016x}")
}
