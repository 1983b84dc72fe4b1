//! Multiplications and additions of encoders, counted: two for each weight that a number meets, those of attention among them. Norms, activations and
//! softmax are left out; they are a few percent.

use aoi_encoder::images::tiles;
use aoi_encoder::mae::Decoder;
use aoi_encoder::{Config, Grid};

/// Blocks of width d over t tokens: four d x d matrices, the feed-forward network's, and two products of t x t.
fn blocks(depth: usize, [t, d, hidden]: [usize; 3]) -> f64 {
    let [t, d, hidden] = [t, d, hidden].map(|n| n as f64);
    depth as f64 * 2.0 * t * (4.0 * d * d + 2.0 * d * hidden + 2.0 * t * d)
}

/// The patch projection of so many patches.
fn projection(config: &Config, patches: usize) -> f64 {
    2.0 * (patches * config.channels * config.patch * config.patch * config.width) as f64
}

/// The encoder on one image of `grid` patches.
pub fn forward(config: &Config, grid: Grid) -> f64 {
    projection(config, grid.len())
        + blocks(config.depth, [grid.len() + config.prefix(), config.width, config.hidden])
}

/// One crop of fine-tuning with a linear head: forward, and backward, which costs twice as much.
pub fn finetune_crop(config: &Config, classes: usize) -> f64 {
    let head = 2.0 * (config.grid.len() * config.width * classes) as f64;
    3.0 * (forward(config, config.grid) + head)
}

/// One picture of pre-training: the encoder on the visible patches, the decoder on all, forward and backward.
pub fn pretrain_picture(config: &Config, decoder: Decoder, visible: usize) -> f64 {
    let (all, prefix) = (config.grid.len(), config.prefix());
    let pixels = config.patch * config.patch * config.channels;
    let encoder = projection(config, visible)
        + blocks(config.depth, [visible + prefix, config.width, config.hidden])
        + 2.0 * ((visible + prefix) * config.width * decoder.width) as f64;
    let decoder = blocks(decoder.depth, [all + prefix, decoder.width, 4 * decoder.width])
        + 2.0 * ((all - visible) * decoder.width * pixels) as f64;
    3.0 * (encoder + decoder)
}

/// A picture of (height, width) in tiles of the training size that overlap as prediction's do.
pub fn picture(config: &Config, (height, width): (usize, usize)) -> f64 {
    let whole = Grid { rows: height.div_ceil(config.patch), columns: width.div_ceil(config.patch) };
    let overlap = config.grid.rows.min(config.grid.columns) / 4;
    tiles(whole, config.grid, overlap)
        .map_or(f64::NAN, |tiles| tiles.iter().map(|tile| forward(config, tile.grid)).sum())
}

/// Scores of all pairs of queries and rows.
pub fn search(queries: usize, rows: usize, width: usize) -> f64 {
    2.0 * queries as f64 * rows as f64 * width as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_a_small_vision_transformer_is_the_published_one() {
        // ViT-Ti/16 at 224: 1.26 G multiply-adds (Touvron et al. 2021 count 1.3 G), two operations each.
        let config = Config::preset("vit-ti/16").unwrap();
        let giga = forward(&config, config.grid) / 2e9;
        assert!((1.2..1.3).contains(&giga), "{giga}");
    }

    #[test]
    fn a_masked_picture_costs_less_than_a_whole_one_and_a_picture_as_much_as_its_tiles() {
        let config = Config { grid: Grid { rows: 4, columns: 4 }, ..Config::paper() };
        let decoder = Decoder { width: 32, depth: 1, heads: 2 };
        let quarter = pretrain_picture(&config, decoder, 4);
        assert!(quarter < 0.5 * finetune_crop(&config, 4), "{quarter}");
        // 64 pixels are one tile, 112 are two that share a patch.
        assert_eq!(picture(&config, (64, 112)), 2.0 * picture(&config, (64, 64)));
    }
}
