//! Forward passes of the encoder on request, beside the peers of `tools/peers/encoder_peers.py`, with their weights and images.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use aoi_encoder::ndarray::{Array3, Array4, s};
use aoi_encoder::weights::{LoadOptions, load};
use aoi_encoder::{Config, Encoder, EncoderOptions, Features, Instructions, Precision, Workspace, read_npy};

use crate::error::Error;

/// An encoder with its images, and what it made of them.
struct Ready {
    key: [String; 3],
    encoder: Encoder,
    /// Numbers that it learned.
    weights: usize,
    images: Array4<f32>,
    workspace: Workspace,
    features: Features,
}

/// Answers requests `SETTING MODEL BATCH RUNS OUT`, one a line, with `{"seconds": [..], "operations": .., "bytes": ..}` until the input ends.
///
/// `SETTING` is `f32` or `bf16`, with `/avx512` where the matrix unit is not to be used. Loading and a first run are not timed; with `OUT` other
/// than `-` the tokens \[b, 1 + t, d\] of the last run go to that file as little-endian f32.
///
/// # Errors
/// When a request is not of that form, or its files are damaged or missing.
pub fn serve(
    folder: &Path,
    threads: usize,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<(), Error> {
    let stream = |source| Error::File { path: "the requests".into(), source };
    let mut ready: Option<Ready> = None;
    for line in input.lines() {
        let line = line.map_err(stream)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [setting, model, batch, runs, out] = words[..] else { return Err(refused(&line)) };
        let runs: usize = runs.parse().map_err(|_| refused(&line))?;
        let key = [setting, model, batch].map(str::to_owned);
        let mut current = match ready.take() {
            Some(found) if found.key == key => found,
            _ => Ready::load(folder, key, threads)?,
        };
        let seconds: Vec<f64> = (0..runs).map(|_| current.run()).collect::<Result<_, _>>()?;
        if out != "-" {
            let bytes: Vec<u8> = current.tokens().iter().flat_map(|v| v.to_le_bytes()).collect();
            std::fs::write(out, bytes).map_err(|source| Error::File { path: out.into(), source })?;
        }
        let config = current.encoder.config();
        let (b, _, height, width) = current.images.dim();
        let operations = b as f64 * config.operations(config.grid_of(height, width)?);
        // Weights, pictures and tokens, each once.
        let (weight, tokens) = (if setting == "f32" { 4 } else { 2 }, current.tokens().len());
        let bytes = current.weights * weight + 4 * (current.images.len() + tokens);
        let answer = serde_json::json!({ "seconds": seconds, "operations": operations, "bytes": bytes });
        writeln!(output, "{answer}").and_then(|()| output.flush()).map_err(stream)?;
        ready = Some(current);
    }
    Ok(())
}

fn refused(line: &str) -> Error {
    let expected = "SETTING MODEL BATCH RUNS OUT".to_owned();
    Error::Answer { what: "a request".to_owned(), expected, got: line.to_owned() }
}

impl Ready {
    fn load(folder: &Path, key: [String; 3], threads: usize) -> Result<Self, Error> {
        let [setting, model, batch] = &key;
        let (precision, instructions) = match setting.as_str() {
            "f32" => (Precision::F32, Instructions::best()),
            "bf16" => (Precision::Bf16, Instructions::best()),
            "bf16/avx512" => (Precision::Bf16, Instructions::Avx512),
            _ => return Err(refused(setting)),
        };
        let folder = folder.join(model);
        let preset = model.rsplit_once('-').map_or("", |(name, _)| name).replace("-16", "/16");
        let options = LoadOptions { config: Some(Config::preset(&preset)?), ..LoadOptions::default() };
        let weights = load(&folder.join("weights.safetensors"), &options)?;
        let encoder = EncoderOptions { precision, instructions };
        let mut ready = Self {
            encoder: Encoder::with_options(&weights.config, &weights.params, &encoder)?,
            weights: weights.params.table().len(),
            images: read_npy(&folder.join(format!("images-{batch}.npy")))?,
            workspace: Workspace::new(threads)?,
            features: Features::default(),
            key,
        };
        ready.run()?;
        Ok(ready)
    }

    /// Seconds of one forward pass.
    fn run(&mut self) -> Result<f64, Error> {
        let start = Instant::now();
        self.encoder.forward_into(&self.images, &[], &mut self.workspace, &mut self.features)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Class token and patches, \[b, 1 + t, d\].
    fn tokens(&self) -> Array3<f32> {
        let (b, t, d) = self.features.patches.dim();
        let mut tokens = Array3::zeros((b, 1 + t, d));
        tokens.slice_mut(s![.., 0, ..]).assign(&self.features.class);
        tokens.slice_mut(s![.., 1.., ..]).assign(&self.features.patches);
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_none_and_one_without_files_are_refused() {
        let mut out = Vec::new();
        for line in
            ["f32 vit-ti-16-224 1", "f64 vit-ti-16-224 1 2 -", "f32 vit-ti-16-224 1 2 -", "f32 other-1 1 2 -"]
        {
            let error = serve(Path::new("nowhere"), 1, &mut line.as_bytes(), &mut out).unwrap_err();
            assert!(!error.to_string().is_empty(), "{line}");
        }
        assert!(out.is_empty());
    }
}
