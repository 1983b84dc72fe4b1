//! Encoder and head, forward and backward.

#![expect(
    clippy::many_single_char_names,
    reason = "the letters of the formulas: weights p, gradient g, sizes b, t, c, d, n"
)]

use std::sync::Arc;

use super::enlarge::Enlarge;
use super::upernet::{self, Upernet};
use super::{Loss, NetworkTape, Standard};
use crate::gradient::{Linear, Norm, Scalar, Stack, Tokens, fit};
use crate::{Config, Error, Params, Precision, Result, Role, Table};

/// A segmentation network: the patch tokens of the encoder through a head to one logit a class, enlarged to pixels.
///
/// Its table holds the encoder's tensors first, laid out as in [`Table::new`], then those of the head: `head.weight` \[c, d\] and `head.bias` \[c\] of
/// a linear one. The norms of the other head ([`Network::upernet`]) take their statistics over the images that come together.
///
/// # Examples
/// ```
/// use aoi_encoder::finetune::{Loss, Network, NetworkTape, Standard};
/// use aoi_encoder::{Config, Grid, Params};
///
/// let grid = Grid { rows: 2, columns: 2 };
/// let config = Config { width: 16, depth: 1, heads: 2, hidden: 32, patch: 4, grid, ..Config::paper() };
/// let network = Network::new(&config, 1, Standard::none(16))?;
/// let mut params = Params::<f32>::zeros(network.table().clone());
/// params.get_mut("head.bias")[0] = 2.0;
/// let (image, truth) = (vec![0.5; 2 * 8 * 8], vec![1; 8 * 8]);
/// let loss = network.loss(&params, &image, &truth, &Loss::new(&[0.5], 0.0, 0.0)?, &mut NetworkTape::new(false))?;
/// assert!((loss - (-2.0_f64).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    config: Config,
    classes: usize,
    table: Arc<Table>,
    tokens: Tokens,
    encoder: Stack,
    norm: Norm,
    layers: Layers,
    /// The blocks whose tokens the head reads.
    levels: Vec<usize>,
    enlarge: Enlarge,
    all: Vec<usize>,
}

/// What follows the final norm.
#[derive(Debug, Clone)]
enum Layers {
    Linear(Linear, Standard),
    Upernet(Box<Upernet>, usize),
}

/// How far back a gradient is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The head alone; the encoder's gradient stays as it is.
    Head,
    /// Every parameter.
    Whole,
}

impl Network {
    /// The network of an encoder and a linear head of so many classes, for images of the encoder's grid.
    ///
    /// # Errors
    /// [`Error::Config`] for an impossible encoder or no class, [`Error::Shape`] for statistics of another width.
    pub fn new(config: &Config, classes: usize, standard: Standard) -> Result<Self> {
        let d = config.width;
        for values in [&standard.mean, &standard.scale] {
            if values.len() != d {
                let expected = format!("[{d}]");
                return Err(Error::Shape {
                    what: "statistics of the head",
                    expected,
                    found: vec![values.len()],
                });
            }
        }
        let mut table = table(config, classes)?;
        table.push(None, Role::Matrix, "head.weight", &[classes, d])?;
        table.push(None, Role::Bias, "head.bias", &[classes])?;
        let layers = Layers::Linear(Linear::new(&table, "head"), standard);
        Ok(Self::with(config, classes, table, (layers, vec![config.depth - 1])))
    }

    /// The network of an encoder and a head over its last four blocks (all of a shallower one) and coarse grids of 2, 4, 8 and 16 cells, `width` channels wide: convolutions with
    /// batch norm and rectifier, whose statistics are those of the images of one call.
    ///
    /// # Errors
    /// [`Error::Config`] for an impossible encoder, no class or no width.
    pub fn upernet(config: &Config, classes: usize, width: usize) -> Result<Self> {
        let mut table = table(config, classes)?;
        upernet::push(&mut table, config, classes, width)?;
        let layers = Layers::Upernet(Box::new(Upernet::new(&table, config, width, config.grid)), width);
        Ok(Self::with(config, classes, table, (layers, upernet::levels(config))))
    }

    fn with(config: &Config, classes: usize, table: Table, (layers, levels): (Layers, Vec<usize>)) -> Self {
        Self {
            classes,
            tokens: Tokens::new(&table, config),
            encoder: Stack::new(&table, "", config),
            norm: Norm::new(&table, "norm", config.norm_epsilon),
            layers,
            levels,
            enlarge: Enlarge::of_patches(config.grid, config.patch),
            all: (0..config.grid.len()).collect(),
            config: config.clone(),
            table: Arc::new(table),
        }
    }

    /// The same network with products of such numbers; weights, norms and the loss stay f32.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.tokens.set_precision(precision);
        self.encoder.set_precision(precision);
        match &mut self.layers {
            Layers::Linear(layer, _) => layer.set_precision(precision),
            Layers::Upernet(head, _) => head.set_precision(precision),
        }
        self
    }

    /// The encoder's architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What a linear head's input is standardised with.
    pub fn standard(&self) -> Option<&Standard> {
        match &self.layers {
            Layers::Linear(_, standard) => Some(standard),
            Layers::Upernet(..) => None,
        }
    }

    /// Width of the head over several blocks.
    pub(super) fn upernet_width(&self) -> Option<usize> {
        match self.layers {
            Layers::Linear(..) => None,
            Layers::Upernet(_, width) => Some(width),
        }
    }

    /// Names, shapes and places of all parameters.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The mean loss of one image or several.
    ///
    /// # Shapes
    /// `images` \[b, c, height, width\] of the encoder's grid, normalised; `truth` \[b, height, width, classes\].
    ///
    /// # Errors
    /// [`Error::Shape`] when images, truth or parameters do not fit.
    pub fn loss<T: Scalar>(
        &self,
        params: &Params<T>,
        images: &[T],
        truth: &[u8],
        loss: &Loss,
        tape: &mut NetworkTape<T>,
    ) -> Result<f64> {
        let b = self.check(params, (images.len(), truth.len()))?;
        self.forward(params.values(), images, tape);
        Ok(self.judge(loss, truth, 1.0 / b as f64, tape))
    }

    /// [`Network::loss`], and its gradient added to `gradient`.
    ///
    /// # Errors
    /// As [`Network::loss`].
    pub fn gradient<T: Scalar>(
        &self,
        params: &Params<T>,
        (images, truth): (&[T], &[u8]),
        (loss, depth): (&Loss, Depth),
        tape: &mut NetworkTape<T>,
        gradient: &mut Params<T>,
    ) -> Result<f64> {
        let b = self.check(params, (images.len(), truth.len()))?;
        self.check(gradient, (images.len(), truth.len()))?;
        Ok(self.add_gradient(
            (params.values(), gradient.values_mut()),
            (images, truth),
            (loss, 1.0 / b as f64, depth),
            tape,
        ))
    }

    /// The number of images.
    pub(super) fn check<T: Scalar>(
        &self,
        params: &Params<T>,
        (images, truth): (usize, usize),
    ) -> Result<usize> {
        let pixels = self.enlarge.pixels();
        let b = (images / (self.config.channels * pixels)).max(1);
        for (what, expected, found) in [
            ("images", b * self.config.channels * pixels, images),
            ("truth", b * self.classes * pixels, truth),
            ("parameters", self.table.len(), params.values().len()),
        ] {
            if found != expected {
                return Err(Error::Shape {
                    what,
                    expected: format!("[{expected}] numbers"),
                    found: vec![found],
                });
            }
        }
        Ok(b)
    }

    /// As [`Network::gradient`] for what was checked; `share` times the gradient of every image's loss is added, and `share` times the sum of the
    /// losses comes back.
    pub(super) fn add_gradient<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        (images, truth): (&[T], &[u8]),
        (loss, share, depth): (&Loss, f64, Depth),
        tape: &mut NetworkTape<T>,
    ) -> f64 {
        self.forward(p, images, tape);
        let value = self.judge(loss, truth, share, tape);
        self.backward((p, g), depth, tape);
        value
    }

    /// `share` times the losses of the images, and the gradient of that.
    fn judge<T: Scalar>(&self, loss: &Loss, truth: &[u8], share: f64, tape: &mut NetworkTape<T>) -> f64 {
        let one = self.enlarge.pixels() * self.classes;
        let dlogits = fit(&mut tape.dlogits, tape.logits.len()).chunks_exact_mut(one);
        let images = tape.logits.chunks_exact(one).zip(truth.chunks_exact(one)).zip(dlogits);
        images.map(|((logits, truth), dlogits)| share * loss.image(logits, truth, share, dlogits)).sum()
    }

    /// The patch tokens of images after the final norm, of the last block, \[b * t, d\].
    pub(super) fn features<'a, T: Scalar>(
        &self,
        p: &[T],
        images: &[T],
        tape: &'a mut NetworkTape<T>,
    ) -> &'a [T] {
        let (d, prefix) = (self.config.width, self.config.prefix());
        let tokens = prefix + self.all.len();
        let b = images.len() / (self.config.channels * self.enlarge.pixels());
        self.tokens.forward(p, images, &vec![&self.all[..]; b], (&mut tape.pixels, &mut tape.x));
        self.encoder.forward(p, tokens, &tape.x, &mut tape.encoder);
        let NetworkTape { encoder, patches, levels, .. } = tape;
        levels.resize_with(self.levels.len(), Vec::new);
        for (&block, level) in self.levels.iter().zip(&mut *levels) {
            self.patches(encoder.behind(block), patches);
            self.norm.forward(p, patches, fit(level, b * self.all.len() * d));
        }
        levels.last().map_or(&[], Vec::as_slice)
    }

    /// The patches among all tokens, image by image.
    fn patches<T: Scalar>(&self, tokens: &[T], patches: &mut Vec<T>) {
        let (d, prefix) = (self.config.width, self.config.prefix());
        patches.clear();
        tokens
            .chunks_exact((prefix + self.all.len()) * d)
            .for_each(|i| patches.extend_from_slice(&i[prefix * d..]));
    }

    /// The sums over the images of one call that statistics of the norms are made of, [`sums`](upernet::UpernetTape::sums); none of a linear head.
    pub(super) fn sums<T: Scalar>(&self, p: &[T], images: &[T], tape: &mut NetworkTape<T>) -> upernet::Sums {
        self.forward(p, images, tape);
        tape.upernet.sums()
    }

    fn forward<T: Scalar>(&self, p: &[T], images: &[T], tape: &mut NetworkTape<T>) {
        self.features(p, images, tape);
        let NetworkTape { levels, standard, upernet, small, logits, .. } = tape;
        let rows = levels[0].len() / self.config.width;
        let small = fit(small, rows * self.classes);
        match &self.layers {
            Layers::Linear(head, statistics) => {
                let z = fit(standard, levels[0].len());
                statistics.apply(&levels[0], z);
                head.forward(p, z, small);
            }
            Layers::Upernet(head, _) => head.forward(p, levels, None, upernet, small),
        }
        let (t, c) = (self.all.len(), self.classes);
        let logits = fit(logits, rows / t * self.enlarge.pixels() * c);
        for (small, large) in
            small.chunks_exact(t * c).zip(logits.chunks_exact_mut(self.enlarge.pixels() * c))
        {
            self.enlarge.forward(c, small, large);
        }
    }

    /// Back through the enlargement (its transpose), the head (of a linear one the layer and the standardisation, `dx = dz scale`), the norm of every level
    /// and the encoder. Only patches reach the head: the gradient of class token and registers behind a block is zero but for what comes through later ones.
    fn backward<T: Scalar>(&self, (p, g): (&[T], &mut [T]), depth: Depth, tape: &mut NetworkTape<T>) {
        let (t, c, d) = (self.all.len(), self.classes, self.config.width);
        let NetworkTape {
            pixels,
            x,
            encoder,
            patches,
            levels,
            dlevels,
            standard,
            upernet,
            small,
            dlogits,
            ..
        } = tape;
        let dsmall = fit(small, levels[0].len() / d * c);
        for (small, large) in
            dsmall.chunks_exact_mut(t * c).zip(dlogits.chunks_exact(self.enlarge.pixels() * c))
        {
            self.enlarge.backward(c, large, small);
        }
        let whole = depth == Depth::Whole;
        match &self.layers {
            Layers::Linear(head, statistics) => {
                dlevels.resize_with(1, Vec::new);
                let dlevel = fit(&mut dlevels[0], standard.len());
                head.backward(p, g, standard, dsmall, whole.then_some(&mut *dlevel));
                for row in dlevel.chunks_exact_mut(d) {
                    row.iter_mut().zip(&statistics.scale).for_each(|(dx, &scale)| *dx *= T::of(scale.into()));
                }
            }
            Layers::Upernet(head, _) => {
                head.backward((p, &mut *g), levels, dsmall, upernet, whole.then_some(dlevels));
            }
        }
        if !whole {
            return;
        }
        let prefix = self.config.prefix();
        let mut more = Vec::with_capacity(self.levels.len());
        for (&block, dlevel) in self.levels.iter().zip(dlevels) {
            self.patches(encoder.behind(block), patches);
            let mut dpatches = vec![T::default(); patches.len()];
            self.norm.backward(p, g, patches, dlevel, &mut dpatches);
            let mut dtokens = vec![T::default(); x.len()];
            let images = dtokens.chunks_exact_mut((prefix + t) * d).zip(dpatches.chunks_exact(t * d));
            images.for_each(|(tokens, patches)| tokens[prefix * d..].copy_from_slice(patches));
            more.push((block, dtokens));
        }
        let mut dx = vec![T::default(); x.len()];
        self.encoder.backward((p, &mut *g), prefix + t, encoder, (&mut dx, &more));
        let b = x.len() / ((prefix + t) * d);
        self.tokens.backward((p, g), &vec![&self.all[..]; b], pixels, &dx);
    }
}

/// The encoder's table.
fn table(config: &Config, classes: usize) -> Result<Table> {
    if classes == 0 {
        return Err(Error::config("classes", "1 or more", &classes));
    }
    Table::new(config)
}
