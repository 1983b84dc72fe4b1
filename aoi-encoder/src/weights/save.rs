//! Our own format: safetensors with the names of the table, and the configuration in the metadata.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;

use super::{config_json, normalisation, whitening};
use crate::images::Normalisation;
use crate::whole::write_whole;
use crate::{Config, Error, Params, Result, Whitening};

/// Metadata key that holds the configuration as JSON.
pub(crate) const METADATA_KEY: &str = "aoi_encoder_config";

/// The numbers that a file of weights is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberType {
    /// As they are.
    #[default]
    F32,
    /// Rounded to half precision: half the size, and off by at most 2^-11 of a number (2^-25 of those below 2^-14).
    F16,
}

/// What a file of weights holds besides them, and in which numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SaveOptions {
    /// How pictures were normalised in training; who loads the file normalises them alike.
    pub normalisation: Option<Normalisation>,
    /// What patch features are whitened with where they are compared.
    pub whitening: Option<Whitening>,
    /// The numbers.
    pub number_type: NumberType,
}

/// Writes `params` to `path` in our own format, whole or not at all: [`save_with`] the defaults.
///
/// # Errors
/// As [`save_with`].
pub fn save(path: &Path, config: &Config, params: &Params<f32>) -> Result<()> {
    save_with(path, config, params, &SaveOptions::default())
}

/// Writes `params` to `path` in our own format, whole or not at all.
///
/// # Errors
/// [`Error::Shape`] when the parameters are not those of `config`, the normalisation has other channels or the whitening another width, [`Error::NotFinite`] for a weight that f16
/// cannot hold (beyond 65,504), [`Error::Io`] when the file cannot be written.
pub fn save_with(path: &Path, config: &Config, params: &Params<f32>, options: &SaveOptions) -> Result<()> {
    write(path, config, params, options, (&[], None))
}

/// As [`save_with`], with more tensors, and more said in the metadata, beside the encoder's.
///
/// # Errors
/// As [`save_with`].
#[cfg(feature = "training")]
pub(crate) fn save_beside(
    path: &Path,
    config: &Config,
    params: &Params<f32>,
    options: &SaveOptions,
    (tensors, entry): (&[Named<'_>], (&str, Value)),
) -> Result<()> {
    write(path, config, params, options, (tensors, Some(entry)))
}

/// Name, shape and numbers of a tensor.
type Named<'a> = (&'a str, Vec<usize>, &'a [f32]);

fn write(
    path: &Path,
    config: &Config,
    params: &Params<f32>,
    options: &SaveOptions,
    (more, entry): (&[Named<'_>], Option<(&str, Value)>),
) -> Result<()> {
    params.check_table(config)?;
    // One entry for everything: several would be written in an order that changes from run to run.
    let mut said = config_json::architecture(config);
    if let Some((key, value)) = entry {
        said[key] = value;
    }
    if let Some(normalisation) = &options.normalisation {
        normalisation::check(normalisation, config.channels)?;
        said[normalisation::KEY] = normalisation::to_json(normalisation);
    }
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), said.to_string())]);
    let tensors = params.table().tensors().iter();
    let arrays = tensors.map(|t| (t.name.clone(), t.shape.clone(), &params.values()[t.range()]));
    let more = more.iter().map(|(name, shape, values)| ((*name).to_owned(), shape.clone(), *values));
    if let Some(whitening) = &options.whitening {
        whitening::check(whitening, config.width)?;
    }
    let whitening = options.whitening.iter().flat_map(whitening::arrays);
    let arrays = arrays.chain(whitening).chain(more);
    match options.number_type {
        NumberType::F32 => write_tensors(path, arrays, Some(metadata)),
        NumberType::F16 => {
            let halves = arrays.map(|(name, shape, values)| {
                let bytes = half_bytes(&name, values)?;
                Ok((name, shape, (Dtype::F16, Cow::Owned(bytes))))
            });
            write_arrays(path, &halves.collect::<Result<Vec<_>>>()?, Some(metadata))
        }
    }
}

/// The numbers in half precision, little-endian.
fn half_bytes(name: &str, values: &[f32]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(2 * values.len());
    for (entry, &value) in values.iter().enumerate() {
        let half = f16::from_f32(value);
        if !half.is_finite() {
            let what = format!("{name} in half precision");
            return Err(Error::NotFinite { what, found: f64::from(value), entry });
        }
        bytes.extend(half.to_le_bytes());
    }
    Ok(bytes)
}

/// Writes named f32 arrays as a safetensors file through a temporary file in the same folder.
pub(crate) fn write_tensors<'a>(
    path: &Path,
    arrays: impl Iterator<Item = (String, Vec<usize>, &'a [f32])>,
    metadata: Option<HashMap<String, String>>,
) -> Result<()> {
    // Bytes of the machine's own order: safetensors are little-endian, and so is every machine this builds for.
    let bytes = |values: &'a [f32]| (Dtype::F32, Cow::Borrowed(bytemuck::cast_slice(values)));
    let arrays: Vec<Array<'a>> = arrays.map(|(name, shape, values)| (name, shape, bytes(values))).collect();
    write_arrays(path, &arrays, metadata)
}

/// Name, shape, and numbers of a type as bytes.
type Array<'a> = (String, Vec<usize>, (Dtype, Cow<'a, [u8]>));

fn write_arrays(path: &Path, arrays: &[Array<'_>], metadata: Option<HashMap<String, String>>) -> Result<()> {
    let failed = |e: safetensors::SafeTensorError| Error::io(path)(std::io::Error::other(e));
    let views: Vec<(&str, TensorView<'_>)> = arrays
        .iter()
        .map(|(name, shape, (dtype, bytes))| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
        })
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let bytes = safetensors::serialize(views, metadata).map_err(failed)?;
    write_whole(path, &bytes)
}

#[cfg(target_endian = "big")]
compile_error!("tensors are written in the machine's byte order, which has to be little-endian");
