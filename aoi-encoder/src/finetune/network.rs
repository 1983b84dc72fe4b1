//! Encoder and linear head, forward and backward.

use std::sync::Arc;

use super::Loss;
use super::enlarge::Enlarge;
use crate::gradient::{Linear, Norm, Scalar, Stack, Tape, Tokens, fit};
use crate::{Config, Error, Params, Result, Role, Table};

/// What the linear head reads: patch tokens after the final norm, every number brought to mean 0 and deviation 1.
///
/// The statistics are taken once, of the training pictures under the encoder that fine-tuning starts from. So a step's gradient is a sum over
/// pictures, whatever the batch, the portions and the threads are, and prediction computes what training did.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    /// Subtracted, \[d\].
    pub mean: Vec<f32>,
    /// Multiplied by, one over the deviation, \[d\].
    pub scale: Vec<f32>,
}

impl Standard {
    /// Nothing is changed.
    pub fn none(d: usize) -> Self {
        Self { mean: vec![0.0; d], scale: vec![1.0; d] }
    }

    /// `(x - mean) scale`, row by row.
    pub(super) fn apply<T: Scalar>(&self, x: &[T], z: &mut [T]) {
        let d = self.mean.len();
        for (x, z) in x.chunks_exact(d).zip(z.chunks_exact_mut(d)) {
            for ((z, &x), (&mean, &scale)) in z.iter_mut().zip(x).zip(self.mean.iter().zip(&self.scale)) {
                *z = (x - T::of(mean.into())) * T::of(scale.into());
            }
        }
    }
}

/// A segmentation network: every patch token of the encoder through a linear layer to one logit a class, enlarged to pixels.
///
/// Its table holds the encoder's tensors first, laid out as in [`Table::new`], then `head.weight` \[c, d\] and `head.bias` \[c\].
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
    head: Linear,
    standard: Standard,
    enlarge: Enlarge,
    all: Vec<usize>,
}

/// What a forward pass keeps for its backward, and scratch; made once and used again.
#[derive(Debug)]
pub struct NetworkTape<T> {
    pixels: Vec<T>,
    x: Vec<T>,
    encoder: Tape<T>,
    normed: Vec<T>,
    standard: Vec<T>,
    small: Vec<T>,
    logits: Vec<T>,
    dlogits: Vec<T>,
}

impl<T: Scalar> NetworkTape<T> {
    /// An empty tape. With `recompute` only every block's input is kept and the rest computed again.
    pub fn new(recompute: bool) -> Self {
        let empty = Vec::new;
        Self {
            pixels: empty(),
            x: empty(),
            encoder: Tape::new(recompute),
            normed: empty(),
            standard: empty(),
            small: empty(),
            logits: empty(),
            dlogits: empty(),
        }
    }
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
    /// The network of an encoder and so many classes, for images of the encoder's grid.
    ///
    /// # Errors
    /// [`Error::Config`] for an impossible encoder or no class, [`Error::Shape`] for statistics of another width.
    pub fn new(config: &Config, classes: usize, standard: Standard) -> Result<Self> {
        if classes == 0 {
            return Err(Error::config("classes", "1 or more", &classes));
        }
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
        let mut table = Table::new(config)?;
        table.push(None, Role::Matrix, "head.weight", &[classes, d])?;
        table.push(None, Role::Bias, "head.bias", &[classes])?;
        Ok(Self {
            classes,
            tokens: Tokens::new(&table, config),
            encoder: Stack::new(&table, "", config),
            norm: Norm::new(&table, "norm", config.norm_epsilon),
            head: Linear::new(&table, "head"),
            standard,
            enlarge: Enlarge::new(config.grid, config.patch),
            all: (0..config.grid.len()).collect(),
            config: config.clone(),
            table: Arc::new(table),
        })
    }

    /// The encoder's architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What the head's input is standardised with.
    pub fn standard(&self) -> &Standard {
        &self.standard
    }

    /// Names, shapes and places of all parameters.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The loss of one image.
    ///
    /// # Shapes
    /// `image` \[c, height, width\] of the encoder's grid, normalised; `truth` \[height, width, classes\].
    ///
    /// # Errors
    /// [`Error::Shape`] when image, truth or parameters do not fit.
    pub fn loss<T: Scalar>(
        &self,
        params: &Params<T>,
        image: &[T],
        truth: &[u8],
        loss: &Loss,
        tape: &mut NetworkTape<T>,
    ) -> Result<f64> {
        self.check(params, (image.len(), truth.len()))?;
        self.forward(params.values(), image, tape);
        Ok(loss.image(&tape.logits, truth, 1.0, fit(&mut tape.dlogits, tape.logits.len())))
    }

    /// [`Network::loss`], and its gradient added to `gradient`.
    ///
    /// # Errors
    /// As [`Network::loss`].
    pub fn gradient<T: Scalar>(
        &self,
        params: &Params<T>,
        (image, truth): (&[T], &[u8]),
        (loss, depth): (&Loss, Depth),
        tape: &mut NetworkTape<T>,
        gradient: &mut Params<T>,
    ) -> Result<f64> {
        self.check(params, (image.len(), truth.len()))?;
        self.check(gradient, (image.len(), truth.len()))?;
        Ok(self.add_gradient(
            (params.values(), gradient.values_mut()),
            (image, truth),
            (loss, 1.0, depth),
            tape,
        ))
    }

    fn check<T: Scalar>(&self, params: &Params<T>, (image, truth): (usize, usize)) -> Result<()> {
        let pixels = self.enlarge.pixels();
        for (what, expected, found) in [
            ("image", self.config.channels * pixels, image),
            ("truth", self.classes * pixels, truth),
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
        Ok(())
    }

    /// As [`Network::gradient`] for what was checked; `share` times the gradient is added.
    pub(super) fn add_gradient<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        (image, truth): (&[T], &[u8]),
        (loss, share, depth): (&Loss, f64, Depth),
        tape: &mut NetworkTape<T>,
    ) -> f64 {
        self.forward(p, image, tape);
        let value = loss.image(&tape.logits, truth, share, fit(&mut tape.dlogits, tape.logits.len()));
        self.backward((p, g), depth, tape);
        value
    }

    /// The patch tokens of one image after the final norm, \[t, d\].
    pub(super) fn features<'a, T: Scalar>(
        &self,
        p: &[T],
        image: &[T],
        tape: &'a mut NetworkTape<T>,
    ) -> &'a [T] {
        let d = self.config.width;
        self.tokens.forward(p, image, &[&self.all], (&mut tape.pixels, &mut tape.x));
        self.encoder.forward(p, self.config.prefix() + self.all.len(), &tape.x, &mut tape.encoder);
        let patches = &tape.encoder.last()[self.config.prefix() * d..];
        let normed = fit(&mut tape.normed, patches.len());
        self.norm.forward(p, patches, normed);
        normed
    }

    fn forward<T: Scalar>(&self, p: &[T], image: &[T], tape: &mut NetworkTape<T>) {
        self.features(p, image, tape);
        let z = fit(&mut tape.standard, tape.normed.len());
        self.standard.apply(&tape.normed, z);
        let small = fit(&mut tape.small, self.all.len() * self.classes);
        self.head.forward(p, z, small);
        self.enlarge.forward(
            self.classes,
            small,
            fit(&mut tape.logits, self.enlarge.pixels() * self.classes),
        );
    }

    /// Back through the enlargement (its transpose), the linear layer, the standardisation (`dx = dz scale`) and the encoder. Only patches
    /// reach the head: the gradient of class token and registers behind the last block is zero.
    fn backward<T: Scalar>(&self, (p, g): (&[T], &mut [T]), depth: Depth, tape: &mut NetworkTape<T>) {
        let dsmall = fit(&mut tape.small, self.all.len() * self.classes);
        self.enlarge.backward(self.classes, &tape.dlogits, dsmall);
        if depth == Depth::Head {
            self.head.backward(p, g, &tape.standard, dsmall, None);
            return;
        }
        let d = self.config.width;
        let mut dnormed = vec![T::default(); tape.standard.len()];
        self.head.backward(p, g, &tape.standard, dsmall, Some(&mut dnormed));
        for row in dnormed.chunks_exact_mut(d) {
            row.iter_mut().zip(&self.standard.scale).for_each(|(dx, &scale)| *dx *= T::of(scale.into()));
        }
        let prefix = self.config.prefix() * d;
        let mut dx = vec![T::default(); prefix + dnormed.len()];
        self.norm.backward(p, g, &tape.encoder.last()[prefix..], &dnormed, &mut dx[prefix..]);
        self.encoder.backward((p, &mut *g), dx.len() / d, &mut tape.encoder, &mut dx);
        self.tokens.backward((p, g), &[&self.all], &tape.pixels, &dx);
    }
}
