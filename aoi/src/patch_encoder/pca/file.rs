//! Pixel patches on disk: safetensors with `mean` \[m\] and `axes` \[d, m\], and one description in JSON.

use std::collections::HashMap;
use std::path::Path;

use aoi_encoder::ndarray::Array2;
use aoi_tolerance::io::write_whole;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{PcaEncoder, PcaOptions, Shape};
use crate::{Error, Result};

/// Key of the description among the file's metadata.
const DESCRIPTION: &str = "aoi-pixel-patches";
/// Version of the layout.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    patch: usize,
    reach: usize,
    channels: usize,
}

/// What tells these axes from others.
pub(super) fn identity(shape: Shape, mean: &[f32], axes: &Array2<f32>) -> String {
    let mut hash = Sha256::new();
    mean.iter().chain(axes).for_each(|x| hash.update(x.to_le_bytes()));
    let digest = super::super::short(&hash.finalize());
    let Shape { patch, reach, channels } = shape;
    format!("pixel patches {digest}, patch {patch}, reach {reach}, channels {channels}")
}

impl PcaEncoder {
    /// Writes the encoder, whole or not at all; the same encoder gives the same bytes.
    ///
    /// # Errors
    /// When the system cannot write.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |e: &dyn std::fmt::Display| Error::io(path)(std::io::Error::other(e.to_string()));
        let description =
            Description { format: FORMAT, patch: self.patch, reach: self.reach, channels: self.channels };
        let description = serde_json::to_string(&description).map_err(|e| failed(&e))?;
        let bytes = |numbers: &mut dyn Iterator<Item = &f32>| -> Vec<u8> {
            numbers.flat_map(|x| x.to_le_bytes()).collect()
        };
        let (mean, axes) = (bytes(&mut self.mean.iter()), bytes(&mut self.axes.iter()));
        let views = [
            ("mean", TensorView::new(Dtype::F32, vec![self.mean.len()], &mean)),
            ("axes", TensorView::new(Dtype::F32, self.axes.shape().to_vec(), &axes)),
        ];
        let views: Vec<_> = views
            .into_iter()
            .map(|(name, view)| view.map(|view| (name, view)))
            .collect::<Result<_, _>>()
            .map_err(|e| failed(&e))?;
        let metadata = HashMap::from([(DESCRIPTION.to_owned(), description)]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|e| failed(&e))?;
        Ok(write_whole(path, |out| out.write_all(&file))?)
    }

    /// Whether a file says of itself that it holds pixel patches; a file that is no safetensors file does not.
    ///
    /// # Errors
    /// When the system cannot read.
    pub fn is_file(path: &Path) -> Result<bool> {
        if path.is_dir() {
            return Ok(false);
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Ok(description(&bytes).is_some())
    }

    /// Reads what [`Self::save`] wrote and checks everything in it.
    ///
    /// # Errors
    /// When the system cannot read, or the file is of another kind or damaged.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let bad = |found: String| {
            Error::file(
                path,
                "pixel patches as `aoi segment index --fit` saves them",
                found,
                "fit them again",
            )
        };
        let text = description(&bytes).ok_or_else(|| bad(format!("no {DESCRIPTION:?} in the metadata")))?;
        let Description { format, patch, reach, channels } =
            serde_json::from_str(&text).map_err(|e| bad(format!("a damaged description ({e})")))?;
        if format != FORMAT {
            return Err(bad(format!("format {format}, not {FORMAT}")));
        }
        PcaOptions { patch, reach, ..PcaOptions::default() }.check().map_err(|e| bad(e.to_string()))?;
        if !(1..=16).contains(&channels) {
            return Err(bad(format!("{channels} channels, not 1 to 16")));
        }
        let shape = Shape { patch, reach, channels };
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        let numbers = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
            let view = tensors.tensor(name).map_err(|e| bad(format!("{name}: {e}")))?;
            if view.dtype() != Dtype::F32 {
                return Err(bad(format!("{name} of {:?}, not F32", view.dtype())));
            }
            let numbers: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            match numbers.iter().position(|x| !x.is_finite()) {
                Some(at) => Err(bad(format!("{name} with {} at entry {at}", numbers[at]))),
                None => Ok((view.shape().to_vec(), numbers)),
            }
        };
        let ((mean_shape, mean), (axes_shape, axes)) = (numbers("mean")?, numbers("axes")?);
        let fits = matches!(*axes_shape, [d, m] if d > 0 && m == shape.len()) && mean_shape == [shape.len()];
        if !fits {
            return Err(bad(format!(
                "mean {mean_shape:?} and axes {axes_shape:?}, not [{0}] and [d, {0}]",
                shape.len()
            )));
        }
        let axes = Array2::from_shape_vec((axes_shape[0], axes_shape[1]), axes);
        Ok(Self::from_parts(shape, mean, axes.map_err(|e| bad(e.to_string()))?))
    }
}

/// The description in a file's metadata.
fn description(bytes: &[u8]) -> Option<String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    metadata.metadata().as_ref()?.get(DESCRIPTION).cloned()
}
