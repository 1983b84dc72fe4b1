//! Patch embeddings of an image of two lightings, from a weights file.

use std::sync::Arc;

use aoi_encoder::ndarray::Array4;
use aoi_encoder::weights::{LoadOptions, load, save};
use aoi_encoder::{Config, Encoder, Params, Table, Workspace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A small encoder with weights that follow a formula; real ones come from timm, Hugging Face, DINOv2 or MAE files.
    let config = Config { width: 48, depth: 3, heads: 3, hidden: 192, ..Config::paper() };
    let mut params = Params::<f32>::zeros(Arc::new(Table::new(&config)?));
    for (i, x) in params.values_mut().iter_mut().enumerate() {
        *x = 0.1 * (i as f32 * 0.7).sin();
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("encoder.safetensors");
    save(&path, &config, &params)?;

    let weights = load(&path, &LoadOptions::default())?;
    let encoder = Encoder::new(&weights.config, &weights.params)?;
    // [batch, channels, height, width]; 64 x 96 pixels are 4 x 6 patches.
    let images =
        Array4::from_shape_fn((1, 2, 64, 96), |(_, c, y, x)| ((x * (c + 1) + y) % 32) as f32 / 16.0 - 1.0);
    let features = encoder.forward(&images, &[0], &mut Workspace::new(2)?)?;
    println!("class token {:?}, patches {:?}", features.class.shape(), features.patches.shape());
    println!("block 0     {:?}", features.blocks[0].shape());
    assert_eq!(features.patches.shape(), [1, 24, 48]);
    assert!(features.patches.iter().all(|x| x.is_finite()));
    Ok(())
}
