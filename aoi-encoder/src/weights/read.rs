//! Numbers out of a file's bytes, and a patch projection for another number of channels.

use std::sync::Arc;

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::ChannelRule;
use crate::params::check_finite;
use crate::{Config, Error, Params, Result, Table};

/// Whether weights may be of this type.
pub(crate) fn is_readable(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// The numbers of `view` as f32; NaN and infinity are refused.
pub(crate) fn numbers(name: &str, view: &TensorView<'_>, out: &mut [f32]) -> Result<()> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => fill(out, bytes, f32::from_le_bytes),
        Dtype::F16 => fill(out, bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => fill(out, bytes, |b| bf16::from_le_bytes(b).to_f32()),
        other => {
            let problems = vec![format!("{name}: expected f32, f16 or bf16, found {other:?}")];
            return Err(Error::Weights { family: "any", problems });
        }
    }
    check_finite(name, out)
}

fn fill<const N: usize>(out: &mut [f32], bytes: &[u8], number: impl Fn([u8; N]) -> f32) {
    for (o, b) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *o = number(*b);
    }
}

/// The same encoder for images of `channels` channels.
pub(super) fn adapt_channels(
    config: &Config,
    params: &Params<f32>,
    channels: usize,
    rule: ChannelRule,
) -> Result<(Config, Params<f32>)> {
    let new = Config { channels, ..config.clone() };
    let mut adapted = Params::<f32>::zeros(Arc::new(Table::new(&new)?));
    for tensor in params.table().tensors().iter().filter(|t| t.name != "patch.weight") {
        adapted.get_mut(&tensor.name).copy_from_slice(params.get(&tensor.name));
    }
    let (area, old) = (config.patch * config.patch, config.channels);
    let from = params.get("patch.weight").chunks_exact(old * area);
    for (to, from) in adapted.get_mut("patch.weight").chunks_exact_mut(channels * area).zip(from) {
        for (k, plane) in to.chunks_exact_mut(area).enumerate() {
            for (pixel, value) in plane.iter_mut().enumerate() {
                let sum = match rule {
                    ChannelRule::Average => (0..old).map(|c| from[c * area + pixel]).sum::<f32>(),
                    ChannelRule::Repeat => from[k % old * area + pixel] * old as f32,
                };
                *value = sum / channels as f32;
            }
        }
    }
    Ok((new, adapted))
}
