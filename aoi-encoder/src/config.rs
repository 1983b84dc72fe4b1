//! What an encoder is made of, in numbers.

use crate::{Error, Result};

/// Rows and columns of a grid of patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub columns: usize,
}

impl Grid {
    /// Number of patches.
    pub fn len(self) -> usize {
        self.rows * self.columns
    }

    /// Whether there is no patch.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// The two-layer network inside a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedforward {
    /// `W2 gelu(W1 x + b1) + b2` with the exact (error function) GELU.
    Gelu,
    /// `W3 (silu(u) * v) + b3` where `(u, v)` are the halves of `W12 x + b12`.
    SwiGlu,
}

/// How a learned grid of positions becomes one of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// Bicubic a = -0.5, widened when shrinking, weights renormalised at the borders (timm; `DINOv2` with registers).
    Antialiased,
    /// Bicubic a = -0.75 between pixel centres, borders repeated (Hugging Face `ViT` and `DINOv2`; MAE).
    Plain,
    /// As [`Resampling::Plain`], with the scale `(n + 0.1) / m` from m to n positions (the DINO and `DINOv2` code).
    Offset,
}

/// Which of the tokens before the patches have a row in the table of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixPositions {
    /// None: positions belong to patches only.
    None,
    /// The class token.
    Class,
    /// The class token and every register.
    All,
}

/// Where a token is told its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// A learned table for [`Config::grid`], resampled for other grids.
    Learned {
        /// Which prefix tokens have a row.
        prefix: PrefixPositions,
        /// How other grids are served.
        resampling: Resampling,
    },
    /// Fixed sines and cosines of column and row, computed for any grid; prefix tokens have none.
    SinCos,
}

/// The architecture of an encoder.
///
/// A token sequence is class token, registers, patches in reading order. A block is
/// `x += g1 * attention(norm1(x)); x += g2 * feedforward(norm2(x))`, the scales `g1`, `g2` only with
/// [`Config::layer_scale`]; a final norm follows the last block.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Image channels c, 1 to 16.
    pub channels: usize,
    /// Side p of a square patch in pixels.
    pub patch: usize,
    /// Width d of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads h; divides the width.
    pub heads: usize,
    /// Width inside the feed-forward network (after gating).
    pub hidden: usize,
    /// Kind of feed-forward network.
    pub feedforward: Feedforward,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether both branches are scaled entry by entry before they are added.
    pub layer_scale: bool,
    /// Number r of register tokens.
    pub registers: usize,
    /// Kind of positions.
    pub positions: Positions,
    /// The grid that learned positions are stored for; training images have `rows * p` by `columns * p` pixels.
    pub grid: Grid,
    /// Epsilon of every layer norm.
    pub norm_epsilon: f64,
}

/// Upper bounds that keep every product of sizes far from overflow.
const LARGEST: usize = 1 << 16;

impl Config {
    /// The paper's encoder: two lightings, patch 16, width 384, six blocks of six heads, trained at 512 x 512.
    pub fn paper() -> Self {
        Self { channels: 2, depth: 6, ..Self::vit(16, (384, 12, 6), Grid { rows: 32, columns: 32 }) }
    }

    /// A plain three-channel `ViT` of (width, depth, heads).
    pub(crate) fn vit(patch: usize, (width, depth, heads): (usize, usize, usize), grid: Grid) -> Self {
        Self {
            channels: 3,
            patch,
            width,
            depth,
            heads,
            hidden: 4 * width,
            feedforward: Feedforward::Gelu,
            qkv_bias: true,
            layer_scale: false,
            registers: 0,
            positions: Positions::Learned {
                prefix: PrefixPositions::Class,
                resampling: Resampling::Antialiased,
            },
            grid,
            norm_epsilon: 1e-6,
        }
    }

    /// Checks every field once; all other functions rely on it.
    ///
    /// # Errors
    /// [`Error::Config`] for the first field out of its range.
    pub fn check(&self) -> Result<()> {
        let within = |what, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::config(what, format!("{low} to {high}"), &value))
            }
        };
        within("channels", self.channels, 1, 16)?;
        within("patch", self.patch, 1, 256)?;
        within("width", self.width, 1, LARGEST)?;
        within("depth", self.depth, 1, 1024)?;
        within("heads", self.heads, 1, self.width)?;
        within("hidden", self.hidden, 1, 8 * LARGEST)?;
        within("registers", self.registers, 0, 1024)?;
        within("grid rows", self.grid.rows, 1, 4096)?;
        within("grid columns", self.grid.columns, 1, 4096)?;
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::config(
                "heads",
                format!("a divisor of the width {}", self.width),
                &self.heads,
            ));
        }
        if self.positions == Positions::SinCos && !self.width.is_multiple_of(4) {
            return Err(Error::config("width", "a multiple of 4 for sin-cos positions", &self.width));
        }
        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            return Err(Error::config("norm epsilon", "above 0 and below 1", &self.norm_epsilon));
        }
        Ok(())
    }

    /// Width of one head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Tokens before the patches: the class token and the registers.
    pub fn prefix(&self) -> usize {
        1 + self.registers
    }

    /// Rows of the first feed-forward matrix: twice the hidden width when gated.
    pub fn hidden_rows(&self) -> usize {
        match self.feedforward {
            Feedforward::Gelu => self.hidden,
            Feedforward::SwiGlu => 2 * self.hidden,
        }
    }

    /// Prefix rows of the stored table of positions.
    pub fn position_prefix(&self) -> usize {
        match self.positions {
            Positions::SinCos | Positions::Learned { prefix: PrefixPositions::None, .. } => 0,
            Positions::Learned { prefix: PrefixPositions::Class, .. } => 1,
            Positions::Learned { prefix: PrefixPositions::All, .. } => self.prefix(),
        }
    }

    /// The grid of an image of `height` by `width` pixels.
    ///
    /// # Errors
    /// [`Error::Config`] when a side is zero or no multiple of the patch.
    pub fn grid_of(&self, height: usize, width: usize) -> Result<Grid> {
        for (what, side) in [("image height", height), ("image width", width)] {
            if side == 0 || !side.is_multiple_of(self.patch) {
                let expected = format!("a positive multiple of the patch {}", self.patch);
                return Err(Error::config(what, expected, &side));
            }
        }
        Ok(Grid { rows: height / self.patch, columns: width / self.patch })
    }

    /// Floating-point operations of one forward pass over one image: two for each multiply-add of matrix products and
    /// attention, nothing else counted.
    pub fn operations(&self, grid: Grid) -> f64 {
        let (t, d) = ((self.prefix() + grid.len()) as f64, self.width as f64);
        let projection = grid.len() as f64 * d * (self.channels * self.patch * self.patch) as f64;
        let block = t * d * (4.0 * d + (self.hidden_rows() + self.hidden) as f64) + 2.0 * t * t * d;
        2.0 * (projection + self.depth as f64 * block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::for_each_case;

    #[test]
    fn fields_out_of_range_are_named() {
        let good = Config::paper();
        assert!(good.check().is_ok());
        let cases: [(&'static str, Config); 9] = [
            ("channels", Config { channels: 0, ..good.clone() }),
            ("channels", Config { channels: 17, ..good.clone() }),
            ("patch", Config { patch: 0, ..good.clone() }),
            ("width", Config { width: usize::MAX, ..good.clone() }),
            ("depth", Config { depth: 0, ..good.clone() }),
            ("heads", Config { heads: 5, ..good.clone() }),
            ("hidden", Config { hidden: 0, ..good.clone() }),
            ("grid rows", Config { grid: Grid { rows: 1 << 40, columns: 1 }, ..good.clone() }),
            ("norm epsilon", Config { norm_epsilon: f64::NAN, ..good.clone() }),
        ];
        for_each_case(cases.map(|(name, c)| (name, (name, c))), |(name, config)| {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        });
    }

    #[test]
    fn sin_cos_positions_need_quarters() {
        let config = Config { width: 6, heads: 1, positions: Positions::SinCos, ..Config::paper() };
        assert!(config.check().unwrap_err().to_string().contains("multiple of 4"));
    }

    #[test]
    fn the_grid_of_an_image_needs_whole_patches() {
        let config = Config::paper();
        assert_eq!(config.grid_of(512, 256).unwrap(), Grid { rows: 32, columns: 16 });
        assert!(config.grid_of(512, 250).is_err());
        assert!(config.grid_of(0, 16).is_err());
    }

    #[test]
    fn operations_of_vit_small_are_the_published_4_6_billion_multiply_adds() {
        let small = Config::vit(16, (384, 12, 6), Grid { rows: 14, columns: 14 });
        let billions = small.operations(small.grid) / 2e9;
        assert!((billions - 4.6).abs() < 0.05, "{billions}");
    }
}
