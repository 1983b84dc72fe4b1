//! Banks on disk: safetensors with the tensors `keys` and `labels` and one description in JSON; keys are mapped, not read.
//!
//! Everything in the file is checked before it is used, against lengths that follow from the file's own size.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Bank, BankImage};
use crate::labels::{AverageLabels, CompleteLabels};
use crate::search::Rows;
use crate::{Labels, MappedFile, PatchShape, RetrievalError};

/// Key of the description among the file's metadata.
const DESCRIPTION: &str = "aoi-retrieval";
/// Version of the layout.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    labels: Kind,
    patch: usize,
    classes: Vec<String>,
    images: Vec<BankImage>,
    /// Absent in files of before there were any.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Complete,
    Average,
}

/// Keys in memory or in a mapped file.
#[derive(Debug, Clone)]
pub(super) enum Keys {
    Owned(Array2<f32>),
    Mapped { map: Arc<MappedFile>, offset: usize, rows: usize, width: usize },
}

impl Keys {
    pub(super) fn view(&self) -> ArrayView2<'_, f32> {
        match self {
            Self::Owned(keys) => keys.view(),
            Self::Mapped { map, offset, rows, width } => {
                let bytes = &map.bytes()[*offset..*offset + rows * width * 4];
                let floats = bytemuck::cast_slice(bytes);
                ArrayView2::from_shape((*rows, *width), floats).expect("checked when it was mapped")
            }
        }
    }

    /// The keys in memory, copied there first if they are not.
    pub(super) fn owned(&mut self) -> &mut Array2<f32> {
        if let Self::Mapped { .. } = self {
            *self = Self::Owned(self.view().into_owned());
        }
        match self {
            Self::Owned(keys) => keys,
            Self::Mapped { .. } => unreachable!("made owned above"),
        }
    }
}

/// Floats as they stand in the file, least significant byte first.
fn bytes_of(floats: &[f32]) -> std::borrow::Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        bytemuck::cast_slice(floats).into()
    } else {
        floats.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>().into()
    }
}

fn floats_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

impl Bank {
    /// Writes the bank, whole or not at all: under a temporary name first.
    ///
    /// # Errors
    /// When the system cannot write.
    pub fn save(&self, path: &Path) -> Result<(), RetrievalError> {
        let io = |source| RetrievalError::Io { path: path.to_owned(), source };
        let bad = |e: &dyn std::fmt::Display| bad_file(path, format!("cannot be written: {e}"));
        let keys = self.keys();
        let keys = keys.as_standard_layout();
        let key_bytes = bytes_of(keys.as_slice().unwrap_or_default());
        let (kind, label_bytes, dtype, columns) = match &self.labels {
            Labels::Complete(l) => (Kind::Complete, l.bytes().into(), Dtype::U8, l.row_bytes()),
            Labels::Average(l) => {
                let means = l.means().as_standard_layout();
                let bytes = bytes_of(means.as_slice().unwrap_or_default()).into_owned();
                (Kind::Average, std::borrow::Cow::Owned(bytes), Dtype::F32, l.shape().classes)
            }
        };
        let description = Description {
            format: FORMAT,
            labels: kind,
            patch: self.shape().patch,
            classes: self.classes.clone(),
            images: self.images.clone(),
            attributes: self.attributes.clone(),
        };
        let description = serde_json::to_string(&description).map_err(|e| bad(&e))?;
        let tensors = [
            ("keys", TensorView::new(Dtype::F32, vec![self.rows(), self.width()], &key_bytes)),
            ("labels", TensorView::new(dtype, vec![self.rows(), columns], &label_bytes)),
        ];
        let mut views = Vec::new();
        for (name, view) in tensors {
            views.push((name, view.map_err(|e| bad(&e))?));
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        let metadata = HashMap::from([(DESCRIPTION.to_owned(), description)]);
        safetensors::serialize_to_file(views, Some(metadata), file.path()).map_err(|e| bad(&e))?;
        // The file was written through a handle of its own; this one sees the same contents.
        File::open(file.path()).and_then(|f| f.sync_all()).map_err(io)?;
        file.persist(path).map_err(|e| io(e.error))?;
        Ok(())
    }

    /// Opens a bank: labels are read, keys are mapped into memory, everything is checked, every key included.
    ///
    /// # Errors
    /// When the system cannot read, or the file is no bank or a damaged one.
    pub fn open(path: &Path) -> Result<Self, RetrievalError> {
        Self::parse(MappedFile::open(path)?).map_err(|e| match e {
            RetrievalError::BadFile { reason, .. } => bad_file(path, reason),
            other => bad_file(path, other.to_string()),
        })
    }

    fn parse(map: MappedFile) -> Result<Self, RetrievalError> {
        let bad = |reason: String| bad_file(Path::new(""), reason);
        let (_, header) =
            SafeTensors::read_metadata(map.bytes()).map_err(|e| bad(format!("no safetensors file: {e}")))?;
        let description = header
            .metadata()
            .as_ref()
            .and_then(|m| m.get(DESCRIPTION))
            .ok_or_else(|| bad(format!("no bank: the metadata have no {DESCRIPTION:?}")))?;
        let description: Description =
            serde_json::from_str(description).map_err(|e| bad(format!("damaged description: {e}")))?;
        if description.format != FORMAT {
            return Err(bad(format!("format {FORMAT} is understood, but this is {}", description.format)));
        }
        let tensors =
            SafeTensors::deserialize(map.bytes()).map_err(|e| bad(format!("damaged tensors: {e}")))?;
        let tensor = |name: &str, dtype: Dtype| -> Result<(usize, usize, &[u8]), RetrievalError> {
            let view = tensors.tensor(name).map_err(|e| bad(format!("{name}: {e}")))?;
            if let (true, &[rows, columns]) = (view.dtype() == dtype, view.shape()) {
                return Ok((rows, columns, view.data()));
            }
            let (found, shape) = (view.dtype(), view.shape());
            Err(bad(format!("{name} must be {dtype:?} with two dimensions, but is {found:?} {shape:?}")))
        };
        let (rows, width, key_bytes) = tensor("keys", Dtype::F32)?;
        let shape = PatchShape { patch: description.patch, classes: description.classes.len() };
        let labels = match description.labels {
            Kind::Complete => {
                let (_, columns, bytes) = tensor("labels", Dtype::U8)?;
                let labels = CompleteLabels::from_bytes(shape, bytes.to_vec())?;
                if columns != labels.row_bytes() {
                    return Err(RetrievalError::shape("labels", (rows, labels.row_bytes()), (rows, columns)));
                }
                Labels::Complete(labels)
            }
            Kind::Average => {
                let (n, columns, bytes) = tensor("labels", Dtype::F32)?;
                let means = Array2::from_shape_vec((n, columns), floats_of(bytes));
                let means = means.map_err(|e| bad(format!("labels: {e}")))?;
                Labels::Average(AverageLabels::new(description.patch, means)?)
            }
        };
        let aligned = bytemuck::try_cast_slice::<u8, f32>(key_bytes).is_ok();
        let keys = if cfg!(target_endian = "little") && aligned {
            let offset = key_bytes.as_ptr().addr() - map.bytes().as_ptr().addr();
            Keys::Mapped { map: Arc::new(map), offset, rows, width }
        } else {
            let keys = Array2::from_shape_vec((rows, width), floats_of(key_bytes));
            Keys::Owned(keys.map_err(|e| bad(format!("keys: {e}")))?)
        };
        Rows::new("key", keys.view().into())?;
        let Description { classes, images, attributes, .. } = description;
        Self::from_parts(keys, labels, classes, images, attributes)
    }
}

fn bad_file(path: &Path, reason: String) -> RetrievalError {
    RetrievalError::BadFile { path: path.to_owned(), reason }
}
