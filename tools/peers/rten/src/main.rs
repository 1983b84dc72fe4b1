//! Forward passes in rten for `encoder.py`, by the requests and in the way of `encoder_peers.py serve`.
//!
//! usage: `rten-forward FOLDER THREADS`
//!
//! `SETTING` of a request is `f32/plain`, a model as `Model::load_file` makes it, or `f32/packed`, with its weights packed beforehand. The
//! tokens go to `OUT` as little-endian f32.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rten::{Dimension, Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A model with its images.
struct Ready {
    key: [String; 3],
    model: Model,
    images: Tensor<f32>,
    options: RunOptions,
}

impl Ready {
    fn load(folder: &Path, key: [String; 3], options: RunOptions) -> Result<Self> {
        let [setting, model, batch] = &key;
        let packed = match setting.as_str() {
            "f32/plain" => false,
            "f32/packed" => true,
            _ => return Err(format!("expected f32/plain or f32/packed, got {setting}").into()),
        };
        let folder = folder.join(model);
        let model = ModelOptions::with_all_ops()
            .prepack_weights(packed)
            .load_file(folder.join(format!("{batch}.onnx")))?;
        let images = images(&folder.join(format!("images-{batch}.npy")), &model)?;
        let ready = Self { key, model, images, options };
        ready.run()?;
        Ok(ready)
    }

    /// Tokens \[b, 1 + t, d\].
    fn run(&self) -> Result<Tensor<f32>> {
        Ok(self.model.run_one(self.images.view().into(), Some(self.options.clone()))?.try_into()?)
    }
}

/// The f32 images of a .npy file of version 1, in the shape that the model takes: its graph was made for one batch.
fn images(path: &Path, model: &Model) -> Result<Tensor<f32>> {
    let dimensions = model.input_shape(0).unwrap_or_default();
    let fixed = |d: &Dimension| if let Dimension::Fixed(size) = d { Some(*size) } else { None };
    let shape: Vec<usize> =
        dimensions.iter().map(fixed).collect::<Option<_>>().ok_or("a graph of any batch")?;
    let bytes = std::fs::read(path)?;
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (values, _) = bytes[start..].as_chunks();
    let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
    Tensor::try_from_data(shape.as_slice(), values).map_err(|e| format!("{}: {e}", path.display()).into())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, threads] = &arguments[..] else { return Err("usage: rten-forward FOLDER THREADS".into()) };
    let pool = Arc::new(ThreadPool::with_num_threads(threads.parse()?));
    let options = RunOptions::default().with_thread_pool(Some(pool));
    let mut ready: Vec<Ready> = Vec::new();
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [setting, model, batch, runs, out] = words[..] else {
            return Err(format!("expected SETTING MODEL BATCH RUNS OUT, got {line}").into());
        };
        let key = [setting, model, batch].map(str::to_owned);
        if !ready.iter().any(|r| r.key == key) {
            // Settings that are compared take turns; another model or batch takes their place.
            ready.retain(|r| r.key[1..] == key[1..]);
            ready.push(Ready::load(Path::new(folder), key.clone(), options.clone())?);
        }
        let current = ready.iter().find(|r| r.key == key).expect("loaded above");
        let (mut seconds, mut tokens) = (Vec::new(), None);
        for _ in 0..runs.parse()? {
            let start = Instant::now();
            tokens = Some(current.run()?);
            seconds.push(start.elapsed().as_secs_f64());
        }
        if let (Some(tokens), true) = (tokens, out != "-") {
            std::fs::write(out, tokens.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
        }
        println!("{{\"seconds\": {seconds:?}}}");
        stdout().flush()?;
    }
    Ok(())
}
