//! Steps of masked-autoencoder pre-training, one a request, so that peers can take turns with them.
//!
//! The request `step` is answered with the `seconds` of the step (gradient, clipping, `AdamW`), the `loss` before it and the process's peak memory.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use aoi_encoder::mae::{Decoder, Mae, MaeBatches, Mask};
use aoi_encoder::ndarray::Array4;
use aoi_encoder::optimise::{AdamW, AdamWOptions, clip};
use aoi_encoder::{Config, Params, Precision};
use safetensors::SafeTensors;
use serde_json::json;

use crate::error::Error;

/// Learning rate of every step.
const RATE: f64 = 1e-4;

/// A network, its batch, and where its training stands.
#[derive(Debug)]
pub struct Server {
    mae: Mae,
    params: Params<f32>,
    gradient: Params<f32>,
    images: Array4<f32>,
    masks: Vec<Mask>,
    batches: MaeBatches<f32>,
    optimiser: AdamW<f32>,
}

impl Server {
    /// Reads weights by the names of the network's table, `images` \[b, c, h, w\] and `visible` \[b, v\].
    ///
    /// # Errors
    /// When the file cannot be read, or is not that of the network.
    pub fn read(
        path: &Path,
        preset: &str,
        decoder: Decoder,
        (threads, at_once, precision): (usize, usize, Precision),
    ) -> Result<Self, Error> {
        let bad = |reason: String| Error::Record { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        let tensor = |name: &str| {
            let view = file.tensor(name).map_err(|e| bad(format!("{name}: {e}")))?;
            let numbers =
                view.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect::<Vec<_>>();
            Ok::<_, Error>((view.shape().to_vec(), numbers))
        };
        let (shape, pixels) = tensor("images")?;
        let shape: [usize; 4] = shape.try_into().map_err(|_| bad("images without four axes".to_owned()))?;
        let images = Array4::from_shape_vec(shape, pixels).map_err(|e| bad(e.to_string()))?;
        let preset = Config::preset(preset)?;
        let config = Config { channels: shape[1], ..preset };
        let config = Config { grid: config.grid_of(shape[2], shape[3])?, ..config };
        let mae = Mae::new(&config, decoder, true)?.with_precision(precision);
        let mut params = Params::zeros(mae.table().clone());
        for t in mae.table().tensors() {
            let (shape, numbers) = tensor(&t.name)?;
            if shape != t.shape {
                return Err(bad(format!("{}: shape {shape:?}, expected {:?}", t.name, t.shape)));
            }
            params.get_mut(&t.name).copy_from_slice(&numbers);
        }
        let (shape, visible) = tensor("visible")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of patches")]
        let visible: Vec<usize> = visible.into_iter().map(|v| v as usize).collect();
        let masks = visible.chunks(*shape.last().unwrap_or(&1)).map(|v| Mask::new(config.grid.len(), v));
        Ok(Self {
            masks: masks.collect::<Result<_, _>>()?,
            batches: MaeBatches::new(threads, at_once, false)?,
            optimiser: AdamW::new(mae.table(), AdamWOptions::default())?,
            gradient: Params::zeros(mae.table().clone()),
            params,
            images,
            mae,
        })
    }

    /// Answers requests until the input ends.
    ///
    /// # Errors
    /// When a request is not understood, a step fails, or a stream does.
    pub fn serve(&mut self, requests: impl BufRead, mut answers: impl Write) -> Result<(), Error> {
        for line in requests.lines() {
            let line = line.map_err(Error::file(Path::new("requests")))?;
            if line != "step" {
                return Err(Error::Record {
                    path: "requests".into(),
                    reason: format!("{line:?} is not \"step\""),
                });
            }
            let start = Instant::now();
            let loss = self.step()?;
            let answer =
                json!({"seconds": start.elapsed().as_secs_f64(), "loss": loss, "peak_mib": peak_mib()});
            writeln!(answers, "{answer}").map_err(Error::file(Path::new("answers")))?;
            answers.flush().map_err(Error::file(Path::new("answers")))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<f64, Error> {
        let Self { mae, params, gradient, images, masks, batches, optimiser } = self;
        let loss = batches.gradient(mae, params, images, masks, gradient)?;
        batches.install(|| {
            clip(gradient.values_mut(), 5.0);
            optimiser.step(params, gradient, |_| RATE)
        })?;
        Ok(loss)
    }
}

/// The largest resident memory of this process so far; 0 where the system does not say.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
