//! Everything that a run needs to go on, in one file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::weights::write_tensors;
use crate::{Error, Params, Result, Table};

/// Metadata key of [`State`].
const STATE_KEY: &str = "aoi_encoder_run";

/// Where a run stands, beside its arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Steps taken.
    pub(crate) step: u64,
    /// The best held-out loss so far.
    pub(crate) best: Option<f64>,
    /// Validations since.
    pub(crate) since_best: u64,
    /// Whether the run has come to its end.
    pub(crate) ended: bool,
    /// The resolved configuration.
    pub(crate) config: String,
    /// What the run is made from.
    pub(crate) origin: Origin,
}

impl State {
    /// Before the first step.
    pub(crate) fn new(config: String, origin: Origin) -> Self {
        Self { step: 0, best: None, since_best: 0, ended: false, config, origin }
    }
}

/// Names of the arrays, in the order they are handed over: weights, both moments, and the running mean where there is one.
const ARRAYS: [&str; 4] = ["weights", "first_moment", "second_moment", "average"];

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn write(path: &Path, state: &State, arrays: &[&Params<f32>]) -> Result<()> {
    let json = serde_json::to_string(state).map_err(|e| Error::io(path)(e.into()))?;
    let all = ARRAYS.iter().zip(arrays).flat_map(|(array, params)| {
        params
            .table()
            .tensors()
            .iter()
            .map(move |t| (format!("{array}/{}", t.name), t.shape.clone(), &params.values()[t.range()]))
    });
    write_tensors(path, all, Some(HashMap::from([(STATE_KEY.to_owned(), json)])))
}

/// Reads a checkpoint of `count` arrays laid out by `table`, of a run that is to go on with `origin`.
///
/// # Errors
/// [`Error::Io`], [`Error::Format`] for a file that is no checkpoint of this network, [`Error::Origin`] for a run made from something else.
pub(crate) fn read(
    path: &Path,
    (table, count): (&Arc<Table>, usize),
    origin: &Origin,
) -> Result<(State, Vec<Params<f32>>)> {
    let bad =
        |found: String| Error::Format { path: path.to_owned(), expected: "a checkpoint of this run", found };
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(STATE_KEY))
        .ok_or_else(|| bad("no state".to_owned()))?;
    let state: State = serde_json::from_str(json).map_err(|e| bad(e.to_string()))?;
    state.origin.check_same(path, origin)?;
    let mut arrays = Vec::with_capacity(count);
    for array in &ARRAYS[..count] {
        let mut params = Params::zeros(table.clone());
        for tensor in table.tensors() {
            let name = format!("{array}/{}", tensor.name);
            let view = file.tensor(&name).map_err(|e| bad(format!("{name}: {e}")))?;
            if view.shape() != tensor.shape || view.dtype() != safetensors::Dtype::F32 {
                return Err(bad(format!(
                    "{name} of shape {:?}, expected {:?} of f32",
                    view.shape(),
                    tensor.shape
                )));
            }
            let target = &mut params.values_mut()[tensor.range()];
            let numbers = view.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b));
            target.iter_mut().zip(numbers).for_each(|(t, v)| *t = v);
        }
        params.check_finite()?;
        arrays.push(params);
    }
    Ok((state, arrays))
}
