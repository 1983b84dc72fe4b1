//! The head of a network: its numbers, and its tensors in a file.

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Standard, upernet};
use crate::{Config, Error, Result, Table, weights};

/// The tensor of the norms' statistics.
const STATISTICS: &str = "head.statistics";

/// The head of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Its numbers.
    pub layers: HeadLayers,
}

/// The numbers of a head.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadLayers {
    /// One linear layer.
    Linear {
        /// What its input is standardised with.
        standard: Standard,
        /// \[c, d\], row by row.
        weight: Vec<f32>,
        /// \[c\]
        bias: Vec<f32>,
    },
    /// The head over several blocks, [`super::Network::upernet`].
    Upernet {
        /// Channels of its maps.
        width: usize,
        /// Its tensors, in the order of the network's table.
        values: Vec<f32>,
        /// Mean and variance of every column of its norms, \[norms, 2, width\].
        statistics: Vec<f32>,
    },
}

/// What a file's metadata say of its head.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    classes: Vec<String>,
    /// The width of a head over several blocks; absent, the head is linear.
    #[serde(default)]
    upernet: Option<usize>,
}

/// Names and shapes of a head's tensors.
type Layout = Vec<(String, Vec<usize>)>;

/// Name, shape and numbers of a tensor in a file.
pub(super) type Named<'a> = (String, Vec<usize>, &'a [f32]);

impl Said {
    /// The head that a file holds, for an encoder of `config`. Presence, type and shape of every tensor are checked before memory is taken, so that it is
    /// never more than the file's own bytes fill. `bad` makes the error of the file.
    ///
    /// # Errors
    /// One that names every missing or misshapen tensor; [`Error::NotFinite`].
    pub(super) fn read(
        self,
        config: &Config,
        file: &SafeTensors<'_>,
        bad: &dyn Fn(String) -> Error,
    ) -> Result<Head> {
        let Self { classes, upernet } = self;
        let layout = layout(config, classes.len(), upernet).map_err(|e| bad(e.to_string()))?;
        let (mut views, mut problems) = (Vec::with_capacity(layout.len()), Vec::new());
        for (name, shape) in &layout {
            match file.tensor(name) {
                Err(_) => problems.push(format!("missing {name} {shape:?}")),
                Ok(view) if view.shape() != shape => {
                    problems.push(format!("{name}: expected shape {shape:?}, found {:?}", view.shape()));
                }
                Ok(view) if !weights::is_readable(view.dtype()) => {
                    problems.push(format!("{name}: expected f32, f16 or bf16, found {:?}", view.dtype()));
                }
                Ok(view) => views.push((name.as_str(), view)),
            }
        }
        if !problems.is_empty() {
            return Err(bad(problems.join("; ")));
        }
        // From here on every size is that of a tensor in the file.
        let mut views = views.into_iter();
        let mut next = || views.next().map_or(Ok(Vec::new()), |(name, view)| numbers(name, &view));
        let layers = match upernet {
            None => {
                let (weight, bias) = (next()?, next()?);
                HeadLayers::Linear { weight, bias, standard: Standard { mean: next()?, scale: next()? } }
            }
            Some(width) => {
                let statistics = next()?;
                check_variances(&statistics, width).map_err(bad)?;
                let rest = views.map(|(name, view)| numbers(name, &view)).collect::<Result<Vec<_>>>()?;
                HeadLayers::Upernet { width, values: rest.concat(), statistics }
            }
        };
        Ok(Head { classes, layers })
    }
}

impl Head {
    /// What the metadata of a file say of it.
    pub(super) fn said(&self) -> Value {
        match self.layers.upernet_width() {
            None => json!({"classes": self.classes}),
            Some(width) => json!({"classes": self.classes, "upernet": width}),
        }
    }

    /// The tensors by their names in a file.
    ///
    /// # Errors
    /// [`Error::Shape`] for the first whose numbers do not belong to the encoder; [`Error::Config`] for no class or an impossible width.
    pub(super) fn tensors(&self, config: &Config) -> Result<Vec<Named<'_>>> {
        let layout = layout(config, self.classes.len(), self.layers.upernet_width())?;
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let numbers: Vec<&[f32]> = match &self.layers {
            HeadLayers::Linear { standard, weight, bias } => {
                vec![weight, bias, &standard.mean, &standard.scale]
            }
            HeadLayers::Upernet { values, statistics, .. } => {
                let expected = layout[1..].iter().map(|(_, shape)| size(shape)).sum::<usize>();
                check_size("the head", expected, values)?;
                let mut rest = &values[..];
                let mut own = |shape: &[usize]| rest.split_off(..size(shape)).unwrap_or_default();
                let parts = layout[1..].iter().map(|(_, shape)| own(shape));
                std::iter::once(&statistics[..]).chain(parts).collect()
            }
        };
        let named = layout.into_iter().zip(numbers).map(|((name, shape), numbers)| {
            check_size(&name, size(&shape), numbers)?;
            Ok((name, shape, numbers))
        });
        named.collect()
    }
}

impl HeadLayers {
    /// The width of a head over several blocks.
    fn upernet_width(&self) -> Option<usize> {
        match *self {
            Self::Linear { .. } => None,
            Self::Upernet { width, .. } => Some(width),
        }
    }
}

/// Names and shapes of the tensors of a head: linear, or over several blocks of so wide maps. No memory is taken for their numbers.
///
/// # Errors
/// [`Error::Config`] for no class or an impossible width.
fn layout(config: &Config, classes: usize, upernet: Option<usize>) -> Result<Layout> {
    if classes == 0 {
        return Err(Error::config("classes", "one or more names", &classes));
    }
    let (c, d) = (classes, config.width);
    let Some(width) = upernet else {
        let named = [
            ("head.weight", vec![c, d]),
            ("head.bias", vec![c]),
            ("head.mean", vec![d]),
            ("head.scale", vec![d]),
        ];
        return Ok(named.map(|(name, shape)| (name.to_owned(), shape)).into());
    };
    let table = upernet_table(config, classes, width)?;
    let tensors = table.tensors().iter().map(|t| (t.name.clone(), t.shape.clone()));
    let statistics = (STATISTICS.to_owned(), vec![upernet::units(config), 2, width]);
    Ok(std::iter::once(statistics).chain(tensors).collect())
}

/// Names, shapes and places of the numbers of a head over several blocks.
pub(super) fn upernet_table(config: &Config, classes: usize, width: usize) -> Result<Table> {
    let mut table = Table::default();
    upernet::push(&mut table, config, classes, width)?;
    Ok(table)
}

fn check_size(name: &str, expected: usize, numbers: &[f32]) -> Result<()> {
    if numbers.len() == expected {
        return Ok(());
    }
    let expected = format!("[{expected}] numbers in {name}");
    Err(Error::Shape { what: "head", expected, found: vec![numbers.len()] })
}

/// Refuses a variance below zero: the rectifier behind the norm would hide that it has no root.
fn check_variances(statistics: &[f32], width: usize) -> Result<(), String> {
    let variances = statistics.chunks_exact(2 * width).flat_map(|unit| &unit[width..]);
    match variances.into_iter().find(|v| **v < 0.0) {
        Some(v) => Err(format!("{STATISTICS}: expected variances of 0 or more, found {v}")),
        None => Ok(()),
    }
}

/// The numbers of a tensor.
fn numbers(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let mut numbers = vec![0.0; view.shape().iter().product()];
    weights::numbers(name, view, &mut numbers)?;
    Ok(numbers)
}
