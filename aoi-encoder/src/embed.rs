//! From a folder of pictures or a `.npy` file to a file of embeddings.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use ndarray::{Array2, Array3, ArrayRef4, Axis};

use crate::images::{self, Normalisation, Stack, Stitch, Tile};
use crate::tiled::{Tiling, cut};
use crate::weights::{LoadOptions, Weights, load, write_tensors};
use crate::{Config, Encoder, EncoderOptions, Error, Features, Grid, Precision, Result, Workspace, read_npy};

/// How pictures become embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedOptions {
    /// Blocks whose patch tokens are wanted too, after the final norm; numbered from 0.
    pub blocks: Vec<usize>,
    /// Mean of each channel on pixels of 0 to 1, or one for all; without, [`embed`] takes that of the weights file, else that of [`Normalisation::new`].
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of each channel, or one for all.
    pub std: Option<Vec<f32>>,
    /// Resize every picture to (height, width) first.
    pub resize: Option<(usize, usize)>,
    /// What is done with pictures larger than the images that the encoder was trained on.
    pub tiling: Tiling,
    /// Threads of the forward pass.
    pub threads: usize,
    /// Pictures (or tiles) in one forward pass; the results do not depend on it.
    pub batch: usize,
    /// The numbers that products are made of; [`embed`] makes its encoder with it.
    pub precision: Precision,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            mean: None,
            std: None,
            resize: None,
            tiling: Tiling::Overlap(None),
            threads: 1,
            batch: 8,
            precision: Precision::F32,
        }
    }
}

/// Embeddings of pictures of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Names of the pictures; numbers for arrays.
    pub names: Vec<String>,
    /// The patches of a picture; t = rows * columns.
    pub grid: Grid,
    /// The blocks that [`Features::blocks`] holds.
    pub blocks: Vec<usize>,
    /// The tokens.
    pub features: Features,
    /// What was assumed on the way; to be shown to the user.
    pub notes: Vec<String>,
}

/// Called with (done, total) pictures, first with none done; `Break` stops the work.
pub type Progress<'a> = dyn FnMut(usize, usize) -> ControlFlow<()> + 'a;

/// Loads `weights`, embeds the pictures of a folder or of a `.npy` file and writes `out` whole or not at all.
///
/// A `.npy` file holds f32 \[b, c, height, width\] already normalised, and is used as it is: not resized, padded or tiled.
/// `out` gets `cls` \[b, d\], `patches` \[b, t, d\], `registers` \[b, r, d\] where there are any and `block_<i>` \[b, t, d\], all f32 and after
/// the final norm, `patches` also whitened where the weights file holds a [`crate::Whitening`]; its metadata names the pictures and the grid. The notes of the weights come before those of the pictures.
///
/// # Errors
/// As [`load`], [`embed_folder`] and [`embed_array`]; [`Error::Cancelled`] when `progress` broke off, and then nothing is written.
pub fn embed(
    weights: &Path,
    load_options: &LoadOptions,
    images: &Path,
    out: &Path,
    options: &EmbedOptions,
    progress: &mut Progress<'_>,
) -> Result<Embeddings> {
    let Weights { config, params, normalisation, whitening, mut notes, .. } = load(weights, load_options)?;
    let encoder_options = EncoderOptions { precision: options.precision, ..EncoderOptions::default() };
    let encoder = Encoder::with_options(&config, &params, &encoder_options)?;
    drop(params);
    let mut embeddings = if images.is_dir() {
        let mut options = options.clone();
        if let Some(own) = normalisation {
            options.mean.get_or_insert(own.mean);
            options.std.get_or_insert(own.std);
        }
        embed_folder(&encoder, images, &options, progress)?
    } else {
        embed_array(&encoder, &read_npy(images)?, options, progress)?
    };
    if let Some(whitening) = whitening {
        for mut patches in embeddings.features.patches.outer_iter_mut() {
            let whitened = whitening.apply(&patches);
            patches.assign(&whitened);
        }
        notes.push("patches whitened, class token, registers and blocks as they are".to_owned());
    }
    embeddings.write(out)?;
    notes.append(&mut embeddings.notes);
    Ok(Embeddings { notes, ..embeddings })
}

/// Embeds every picture of a folder (see [`images::list`]); all have to be of one size, after resizing where that is asked for.
///
/// # Errors
/// [`Error::Shape`] for a picture of another size or channel count, [`Error::Config`] for impossible options, [`Error::Format`] and
/// [`Error::Io`] for files, [`Error::Cancelled`].
pub fn embed_folder(
    encoder: &Encoder,
    folder: &Path,
    options: &EmbedOptions,
    progress: &mut Progress<'_>,
) -> Result<Embeddings> {
    let config = encoder.config();
    let normalisation = Normalisation::new(config.channels, options.mean.as_deref(), options.std.as_deref())?;
    let stacks = images::list(folder)?;
    let first = read(&stacks[0], config, options)?;
    let (_, height, width) = first.dim();
    let mut notes = Vec::new();
    if options.mean.is_none() || options.std.is_none() {
        notes.push(format!(
            "channels normalised with mean {:?} and std {:?}",
            normalisation.mean, normalisation.std
        ));
    }
    if stacks[0].read()?.dim().0 != config.channels {
        notes.push(format!("grey pictures repeated to {} channels", config.channels));
    }
    let whole =
        config.grid_of(height.next_multiple_of(config.patch), width.next_multiple_of(config.patch))?;
    let (tiles, overlap) = options.tiling.tiles(config, whole)?;
    if tiles.len() > 1 {
        let Grid { rows, columns } = tiles[0].grid;
        notes.push(format!(
            "{} tiles of {rows} x {columns} patches a picture, {overlap} or more shared",
            tiles.len()
        ));
    }
    let mut picture = |index: usize| {
        let picture = read(&stacks[index], config, options)?;
        if picture.dim() != first.dim() {
            let expected = format!("{:?} like {}", first.dim(), stacks[0].name);
            return Err(Error::Shape { what: "picture", expected, found: picture.shape().to_vec() });
        }
        prepare(picture, config, &normalisation)
    };
    let features = run(encoder, (stacks.len(), whole, &tiles), options, &mut picture, progress)?;
    let names = stacks.into_iter().map(|s| s.name).collect();
    Ok(Embeddings { names, grid: whole, blocks: options.blocks.clone(), features, notes })
}

/// Embeds normalised images as they are.
///
/// # Shapes
/// `images` \[b, c, height, width\]
///
/// # Errors
/// As [`Encoder::forward`], and [`Error::Cancelled`].
pub fn embed_array(
    encoder: &Encoder,
    images: &ArrayRef4<f32>,
    options: &EmbedOptions,
    progress: &mut Progress<'_>,
) -> Result<Embeddings> {
    let grid = crate::images_grid(encoder.config(), images.shape())?;
    let tiles = [Tile { row: 0, column: 0, grid }];
    let total = images.shape()[0];
    let mut picture = |index: usize| Ok(images.index_axis(Axis(0), index).to_owned());
    let features = run(encoder, (total, grid, &tiles), options, &mut picture, progress)?;
    let names = (0..total).map(|i| i.to_string()).collect();
    Ok(Embeddings { names, grid, blocks: options.blocks.clone(), features, notes: Vec::new() })
}

/// A picture with the encoder's channels, resized where that is asked for.
pub(crate) fn read(stack: &Stack, config: &Config, options: &EmbedOptions) -> Result<Array3<f32>> {
    let picture = images::repeat_grey(stack.read()?, config.channels)?;
    match options.resize {
        Some((height, width)) => images::resize(&picture, height, width),
        None => Ok(picture),
    }
}

/// A picture as the encoder takes it: normalised, its sides whole patches.
pub(crate) fn prepare(
    mut picture: Array3<f32>,
    config: &Config,
    normalisation: &Normalisation,
) -> Result<Array3<f32>> {
    normalisation.apply(&mut picture)?;
    Ok(images::pad(&picture, config.patch))
}

/// All pictures, `batch` at a time, each as its tiles.
fn run(
    encoder: &Encoder,
    (total, whole, tiles): (usize, Grid, &[Tile]),
    options: &EmbedOptions,
    picture: &mut dyn FnMut(usize) -> Result<Array3<f32>>,
    progress: &mut Progress<'_>,
) -> Result<Features> {
    if options.batch == 0 {
        return Err(Error::config("batch", "1 or more", &0));
    }
    let config = encoder.config();
    let (d, blocks) = (config.width, options.blocks.len());
    let mut workspace = Workspace::new(options.threads)?;
    let mut all = Features {
        class: Array2::zeros((total, d)),
        registers: Array3::zeros((total, config.registers, d)),
        patches: Array3::zeros((total, whole.len(), d)),
        blocks: vec![Array3::zeros((total, whole.len(), d)); blocks],
    };
    let mut part = Features::default();
    let mut done = 0;
    loop {
        if progress(done, total).is_break() {
            return Err(Error::Cancelled { done, total });
        }
        if done == total {
            return Ok(all);
        }
        let group = (total - done).min(options.batch.div_ceil(tiles.len()));
        let pictures = (done..done + group).map(&mut *picture).collect::<Result<Vec<_>>>()?;
        let jobs: Vec<(usize, Tile)> = (0..group).flat_map(|i| tiles.iter().map(move |t| (i, *t))).collect();
        let mut sums: Vec<Sum> = (0..group).map(|_| Sum::new(config, whole, blocks)).collect();
        for jobs in jobs.chunks(options.batch) {
            let batch = cut(jobs.iter().map(|&(i, tile)| (&*pictures[i], tile)), config.patch);
            encoder.forward_into(&batch, &options.blocks, &mut workspace, &mut part)?;
            for (k, (i, tile)) in jobs.iter().enumerate() {
                sums[*i].add(*tile, &part, k)?;
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            sum.finish(tiles.len(), &mut all, done + i)?;
        }
        done += group;
    }
}

/// The tokens of one picture, from its tiles.
struct Sum {
    class: Vec<f64>,
    registers: Array2<f64>,
    patches: Vec<Stitch>,
}

impl Sum {
    fn new(config: &Config, whole: Grid, blocks: usize) -> Self {
        Self {
            class: vec![0.0; config.width],
            registers: Array2::zeros((config.registers, config.width)),
            patches: vec![Stitch::new(whole, config.width); 1 + blocks],
        }
    }

    /// Adds row `k` of `part`.
    fn add(&mut self, tile: Tile, part: &Features, k: usize) -> Result<()> {
        self.class.iter_mut().zip(part.class.row(k)).for_each(|(sum, &v)| *sum += f64::from(v));
        self.registers.zip_mut_with(&part.registers.index_axis(Axis(0), k), |sum, &v| *sum += f64::from(v));
        for (stitch, tokens) in
            self.patches.iter_mut().zip(std::iter::once(&part.patches).chain(&part.blocks))
        {
            stitch.add(tile, &tokens.index_axis(Axis(0), k))?;
        }
        Ok(())
    }

    /// Writes the means to picture `i` of `all`.
    #[expect(clippy::cast_possible_truncation, reason = "back to the tokens' own f32")]
    fn finish(self, tiles: usize, all: &mut Features, i: usize) -> Result<()> {
        let mean = |sum: f64| (sum / tiles as f64) as f32;
        all.class.row_mut(i).iter_mut().zip(self.class).for_each(|(v, sum)| *v = mean(sum));
        all.registers.index_axis_mut(Axis(0), i).zip_mut_with(&self.registers, |v, &sum| *v = mean(sum));
        for (stitch, tokens) in
            self.patches.into_iter().zip(std::iter::once(&mut all.patches).chain(&mut all.blocks))
        {
            tokens.index_axis_mut(Axis(0), i).assign(&stitch.finish()?);
        }
        Ok(())
    }
}

impl Embeddings {
    /// The tensors by the names that [`Embeddings::write`] gives them: name, shape and numbers.
    ///
    /// # Panics
    /// When the arrays were replaced by others that are not contiguous.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let Features { class, registers, patches, blocks } = &self.features;
        let slice = |a: &'_ Array3<f32>| a.shape().to_vec();
        let mut tensors =
            vec![("cls".to_owned(), class.shape().to_vec(), class.as_slice().expect("contiguous"))];
        let mut push = |name: String, a| tensors.push((name, slice(a), a.as_slice().expect("contiguous")));
        push("patches".to_owned(), patches);
        if registers.shape()[1] > 0 {
            push("registers".to_owned(), registers);
        }
        for (block, tokens) in self.blocks.iter().zip(blocks) {
            push(format!("block_{block}"), tokens);
        }
        tensors
    }

    /// Writes a safetensors file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let names = serde_json::Value::from(self.names.clone()).to_string();
        let grid = format!("[{},{}]", self.grid.rows, self.grid.columns);
        let metadata = HashMap::from([("images".to_owned(), names), ("grid".to_owned(), grid)]);
        write_tensors(path, self.tensors().into_iter(), Some(metadata))
    }
}
