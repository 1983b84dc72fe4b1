//! Weights from safetensors files of several families, recognised by their tensors, and our own format.

mod config_json;
mod infer;
mod names;
mod normalisation;
mod read;
mod save;
mod whitening;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::images::Normalisation;
use crate::{Config, Error, Params, Resampling, Result, Table, Whitening};

pub use config_json::{Hints, architecture};
pub use names::Family;
pub(crate) use read::{is_readable, numbers};
#[cfg(feature = "training")]
pub(crate) use save::save_beside;
pub(crate) use save::{METADATA_KEY, write_tensors};
pub use save::{NumberType, SaveOptions, save, save_with};

/// What the caller knows better than the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// Number of attention heads; files of other families do not say it.
    pub heads: Option<usize>,
    /// Resampling of learned positions other than the family's own (a DINO file looks like a timm file, for instance).
    pub resampling: Option<Resampling>,
    /// Adapt the patch projection to this many channels.
    pub channels: Option<(usize, ChannelRule)>,
    /// The architecture that the file must have, such as [`Config::preset`]. Width, depth, patch, hidden width and registers are compared;
    /// the heads and a grid that is not square are taken from it. Epsilon and resampling stay those of the file's family.
    pub config: Option<Config>,
    /// Which network of a file that holds several: what the names of its tensors start with, such as `teacher.`; empty for names without a prefix.
    pub prefix: Option<String>,
}

/// How a patch projection is made for another number of channels.
///
/// Both keep the answer to an image whose channels are all alike (repetition only when the old number divides the new one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelRule {
    /// Every new channel gets the sum of the old ones divided by the new number.
    Average,
    /// New channel k gets old channel k modulo their number, times old number / new number.
    Repeat,
}

/// An encoder's numbers and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The architecture.
    pub config: Config,
    /// The parameters.
    pub params: Params<f32>,
    /// The naming family of the file.
    pub family: Family,
    /// How pictures were normalised in training, where the file says it.
    pub normalisation: Option<Normalisation>,
    /// What patch features are whitened with where they are compared, where the file holds it.
    pub whitening: Option<Whitening>,
    /// What was guessed, adapted or left aside; to be shown to the user.
    pub notes: Vec<String>,
}

impl Weights {
    /// The normalisation of pictures: what the caller says, else the file, else the usual numbers of [`Normalisation::new`].
    ///
    /// # Errors
    /// As [`Normalisation::new`].
    pub fn normalisation(&self, mean: Option<&[f32]>, std: Option<&[f32]>) -> Result<Normalisation> {
        let own = self.normalisation.as_ref();
        let (own_mean, own_std) = (own.map(|n| n.mean.as_slice()), own.map(|n| n.std.as_slice()));
        Normalisation::new(self.config.channels, mean.or(own_mean), std.or(own_std))
    }
}

/// What a weight file holds, whether or not it can be loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The naming family.
    pub family: Family,
    /// The architecture found.
    pub config: Config,
    /// Number of parameters of the architecture.
    pub parameters: usize,
    /// Number types in the file and how many tensors have each.
    pub number_types: BTreeMap<String, usize>,
    /// What was guessed or adapted, and which tensors an encoder has no use for.
    pub notes: Vec<String>,
    /// Every missing, unused or misshapen tensor; [`load`] fails when there is one.
    pub problems: Vec<String>,
}

impl std::fmt::Display for Inspection {
    /// A few lines for people: family, architecture, parameters, notes, problems.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Config { width, depth, heads, patch, channels, registers, hidden, grid, .. } = &self.config;
        writeln!(f, "names: {}", self.family.name())?;
        writeln!(
            f,
            "architecture: width {width}, depth {depth}, heads {heads}, hidden {hidden}, patch {patch}"
        )?;
        writeln!(f, "input: {channels} channels, {} x {} pixels", grid.rows * patch, grid.columns * patch)?;
        writeln!(
            f,
            "parts: {:?}, {registers} registers, {:?}",
            self.config.feedforward, self.config.positions
        )?;
        writeln!(f, "layer scale: {}, bias of q, k, v: {}", self.config.layer_scale, self.config.qkv_bias)?;
        writeln!(f, "norms: epsilon {:e}", self.config.norm_epsilon)?;
        let types: Vec<String> =
            self.number_types.iter().map(|(t, n)| format!("{n} tensors of {t}")).collect();
        writeln!(f, "parameters: {} ({})", self.parameters, types.join(", "))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "problem: {problem}"))
    }
}

/// A file's tensors by name, the wrapper's prefix taken off.
type Tensors<'a> = BTreeMap<String, TensorView<'a>>;

/// Everything decided before a number is read.
struct Plan {
    family: Family,
    config: Config,
    table: Table,
    /// File tensors for each tensor of the table.
    sources: Vec<Vec<String>>,
    notes: Vec<String>,
    problems: Vec<String>,
}

/// Loads `path`: a safetensors file, or a folder with `model.safetensors`. A `config.json` beside it is read too.
///
/// # Errors
/// [`Error::Io`], [`Error::Format`] for a file that is not safetensors, [`Error::Weights`] naming every missing, unused, misshapen and doubled
/// tensor, or the networks of a file that holds several of which none was chosen, [`Error::NotFinite`] for NaN or infinite weights, [`Error::Config`] for an impossible architecture.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Weights> {
    let (file, bytes) = read_file(path)?;
    load_bytes(&file, &bytes, options)
}

/// As [`load`], the bytes of `file` at hand.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_bytes(file: &Path, bytes: &[u8], options: &LoadOptions) -> Result<Weights> {
    let parsed = parse(file, bytes, options.prefix.as_deref())?;
    let mut plan = plan(file, &parsed, options)?;
    if !plan.problems.is_empty() {
        return Err(Error::Weights { family: plan.family.name(), problems: plan.problems });
    }
    // Only now, with every shape matched by bytes in the file, is memory taken.
    let mut params = Params::<f32>::zeros(Arc::new(plan.table));
    let targets: Vec<String> = params.table().tensors().iter().map(|t| t.name.clone()).collect();
    for (target, sources) in targets.iter().zip(&plan.sources) {
        let mut rest = params.get_mut(target);
        for source in sources {
            let view = &parsed.tensors[source];
            let (here, after) = rest.split_at_mut(view.shape().iter().product());
            numbers(source, view, here)?;
            rest = after;
        }
    }
    let (mut config, mut params) = (plan.config, params);
    if let Some((channels, rule)) = options.channels
        && channels != config.channels
    {
        let old = config.channels;
        (config, params) = read::adapt_channels(&config, &params, channels, rule)?;
        plan.notes.push(format!("patch projection adapted from {old} to {channels} channels ({rule:?})"));
    }
    // Numbers of other channels than the encoder's say nothing.
    let normalisation = parsed.normalisation.filter(|n| n.mean.len() == config.channels);
    let whitening = match plan.family {
        Family::Own => whitening::read(&parsed.tensors, config.width)?,
        _ => None,
    };
    Ok(Weights { config, params, family: plan.family, normalisation, whitening, notes: plan.notes })
}

/// What `path` holds and what would keep [`load`] from loading it; no number is read.
///
/// # Errors
/// As [`load`], but problems of single tensors are returned, not raised.
pub fn inspect(path: &Path, options: &LoadOptions) -> Result<Inspection> {
    let (file, bytes) = read_file(path)?;
    let parsed = parse(&file, &bytes, options.prefix.as_deref())?;
    let plan = plan(&file, &parsed, options)?;
    let mut number_types = BTreeMap::new();
    for view in parsed.tensors.values() {
        *number_types.entry(format!("{:?}", view.dtype()).to_lowercase()).or_insert(0) += 1;
    }
    let Plan { family, config, table, notes, problems, .. } = plan;
    Ok(Inspection { family, config, parameters: table.len(), number_types, notes, problems })
}

fn read_file(path: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let file = if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() };
    let bytes = std::fs::read(&file).map_err(Error::io(&file))?;
    Ok((file, bytes))
}

/// A file's header understood.
struct Parsed<'a> {
    family: Family,
    tensors: Tensors<'a>,
    /// Tensors outside the wrapper's prefix.
    outside: Vec<String>,
    /// The configuration in the metadata of our own format.
    own: Option<Config>,
    /// The normalisation there.
    normalisation: Option<Normalisation>,
}

fn parse<'a>(path: &Path, bytes: &'a [u8], wanted: Option<&str>) -> Result<Parsed<'a>> {
    let bad = |found: String| Error::Format { path: path.to_owned(), expected: "a safetensors file", found };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
    let said = metadata.metadata().as_ref().and_then(|m| m.get(METADATA_KEY));
    let own = said.map(|text| config_json::own(text).map_err(bad)).transpose()?;
    let normalisation = match (&own, said) {
        (Some(own), Some(text)) => normalisation::from_json(text, own.channels).map_err(bad)?,
        _ => None,
    };
    // They come in an order that changes from call to call, and errors name them.
    let mut all = file.tensors();
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<&str> = all.iter().map(|t| t.0.as_str()).collect();
    let unknown = |problem| Error::Weights { family: "unknown", problems: vec![problem] };
    let (family, prefix) = names::recognise(&names, own.is_some(), wanted).map_err(unknown)?;
    let (mut tensors, mut outside, mut problems) = (Tensors::new(), Vec::new(), Vec::new());
    let mut originals = BTreeMap::new();
    for (name, view) in all {
        let Some(inner) = name.strip_prefix(prefix.as_str()) else {
            outside.push(name);
            continue;
        };
        let flat = names::flat_blocks(inner);
        tensors.insert(flat.clone(), view);
        if let Some(other) = originals.insert(flat.clone(), name.clone()) {
            problems.push(format!("{other} and {name} are both {flat}: keep one"));
        }
    }
    if !problems.is_empty() {
        return Err(Error::Weights { family: family.name(), problems });
    }
    Ok(Parsed { family, tensors, outside, own, normalisation })
}

/// At most twenty names, and how many more there are.
fn list<S: AsRef<str>>(names: &[S]) -> String {
    let mut shown: Vec<&str> = names.iter().take(20).map(AsRef::as_ref).collect();
    let more = format!("and {} more", names.len().saturating_sub(20));
    if names.len() > 20 {
        shown.push(&more);
    }
    if shown.is_empty() { "no tensor at all".to_owned() } else { shown.join(", ") }
}

fn plan(path: &Path, parsed: &Parsed<'_>, options: &LoadOptions) -> Result<Plan> {
    let Parsed { family, tensors, outside, own, .. } = parsed;
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    let hints = config_json::beside(path, &mut notes)?;
    let config = match own {
        Some(config) => config.clone(),
        None => infer::config(*family, tensors, &hints, options, (&mut notes, &mut problems))?,
    };
    let config = Config { heads: options.heads.unwrap_or(config.heads), ..config };
    let table = Table::new(&config)?;
    let mut used = std::collections::HashSet::new();
    let mut all_sources = Vec::with_capacity(table.tensors().len());
    for tensor in table.tensors() {
        let sources = names::sources(*family, tensor, tensors);
        let mut shape = tensor.shape.clone();
        shape[0] /= sources.len();
        for source in &sources {
            match tensors.get(source) {
                None => problems.push(format!("missing {source} {shape:?}")),
                Some(view) => problems.extend(misfit(source, view, &shape)),
            }
            used.insert(source.clone());
        }
        all_sources.push(sources);
    }
    if *family == Family::Own {
        problems.extend(whitening::problems(tensors, config.width));
        used.extend(whitening::NAMES.map(str::to_owned));
    }
    let (ignored, unused): (Vec<_>, Vec<_>) =
        tensors.keys().filter(|n| !used.contains(*n)).partition(|n| names::is_head(n));
    problems.extend(unused.iter().map(|name| format!("unused {name} {:?}", tensors[*name].shape())));
    let mut aside: Vec<&str> = ignored.iter().map(|n| n.as_str()).collect();
    aside.extend(outside.iter().map(String::as_str));
    if !aside.is_empty() {
        notes.push(format!("not part of an encoder, left aside: {}", list(&aside)));
    }
    Ok(Plan { family: *family, config, table, sources: all_sources, notes, problems })
}

/// Why a tensor cannot be taken for one of `shape`.
fn misfit(name: &str, view: &TensorView<'_>, shape: &[usize]) -> Option<String> {
    if !same_shape(view.shape(), shape) {
        return Some(format!("{name}: expected shape {shape:?}, found {:?}", view.shape()));
    }
    let readable = is_readable(view.dtype());
    (!readable).then(|| format!("{name}: expected f32, f16 or bf16, found {:?}", view.dtype()))
}

/// Whether two shapes agree up to leading ones.
fn same_shape(a: &[usize], b: &[usize]) -> bool {
    let core = |s: &[usize]| s.iter().copied().skip_while(|&n| n == 1).collect::<Vec<_>>();
    core(a) == core(b)
}
