//! Our own format: safetensors with the names of the table and the configuration in the metadata.

use std::collections::HashMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::config_json;
use crate::whole::write_whole;
use crate::{Config, Error, Params, Result};

/// Metadata key that holds the configuration as JSON.
pub(super) const METADATA_KEY: &str = "aoi_encoder_config";

/// Writes `params` to `path` in our own format, whole or not at all.
///
/// # Errors
/// [`Error::Shape`] when the parameters are not those of `config`, [`Error::Io`] when the file cannot be written.
pub fn save(path: &Path, config: &Config, params: &Params<f32>) -> Result<()> {
    params.check_table(config)?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), config_json::to_own(config))]);
    let tensors = params.table().tensors().iter();
    let views = tensors.map(|t| (t.name.clone(), t.shape.clone(), &params.values()[t.range()]));
    write_tensors(path, views, Some(metadata))
}

/// Writes named f32 arrays as a safetensors file through a temporary file in the same folder.
pub(crate) fn write_tensors<'a>(
    path: &Path,
    arrays: impl Iterator<Item = (String, Vec<usize>, &'a [f32])>,
    metadata: Option<HashMap<String, String>>,
) -> Result<()> {
    let failed = |e: safetensors::SafeTensorError| Error::io(path)(std::io::Error::other(e));
    let views: Vec<(String, TensorView<'a>)> = arrays
        .map(|(name, shape, values)| {
            // Bytes of the machine's own order: safetensors are little-endian, and so is every machine this builds for.
            TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(values)).map(|view| (name, view))
        })
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let bytes = safetensors::serialize(views, metadata).map_err(failed)?;
    write_whole(path, &bytes)
}

#[cfg(target_endian = "big")]
compile_error!("tensors are written in the machine's byte order, which has to be little-endian");
