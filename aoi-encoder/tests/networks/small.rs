//! A fine-tuned network of two classes that is small enough to be damaged thousands of times.

use std::path::Path;
use std::sync::Arc;

use aoi_encoder::finetune::{Head, HeadLayers, Network, Standard, Tuned};
use aoi_encoder::images::Normalisation;
use aoi_encoder::{Config, Grid, Params, Positions, Table};

/// Width of the head over several blocks.
pub(crate) const WIDTH: usize = 4;

/// The kinds of head.
pub(crate) const HEADS: [&str; 2] = ["linear", "upernet"];

/// Its encoder.
pub(crate) fn config() -> Config {
    Config {
        channels: 1,
        patch: 4,
        width: 8,
        depth: 2,
        heads: 2,
        hidden: 8,
        positions: Positions::SinCos,
        grid: Grid { rows: 2, columns: 2 },
        ..Config::paper()
    }
}

/// Writes the network with one kind of head.
///
/// # Panics
/// When the file cannot be written.
pub(crate) fn write(path: &Path, head: &str) {
    let config = config();
    let params = Params::zeros(Arc::new(Table::new(&config).expect("a possible encoder")));
    let layers = if head == "linear" {
        let standard = Standard::none(config.width);
        HeadLayers::Linear { standard, weight: vec![0.5; 2 * config.width], bias: vec![0.25; 2] }
    } else {
        let network = Network::upernet(&config, 2, WIDTH).expect("a possible head");
        let values = vec![0.5; network.table().len() - params.values().len()];
        // Two levels: one lateral, four coarse grids, the bottleneck, one smoothing, the fusion.
        HeadLayers::Upernet { width: WIDTH, values, statistics: vec![0.5; 8 * 2 * WIDTH] }
    };
    let head = Head { classes: vec!["wire".into(), "ball".into()], layers };
    let normalisation = Normalisation::new(config.channels, None, None).expect("one channel");
    Tuned::write(path, (&config, &params), &normalisation, &head).expect("a folder that can be written");
}
