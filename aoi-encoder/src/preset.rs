//! Architectures by name.

use crate::config::{Feedforward, Grid, PrefixPositions, Resampling};
use crate::{Config, Error, Positions, Result};

/// `ViT` sizes: name, (width, depth, heads).
const SIZES: [(&str, (usize, usize, usize)); 4] =
    [("ti", (192, 12, 3)), ("s", (384, 12, 6)), ("b", (768, 12, 12)), ("l", (1024, 24, 16))];

/// Patch sides that a `ViT` preset may have.
const PATCHES: [usize; 4] = [8, 14, 16, 32];

/// `DINOv2` sizes: name, (width, depth, heads).
const DINOV2: [(&str, (usize, usize, usize)); 4] =
    [("small", (384, 12, 6)), ("base", (768, 12, 12)), ("large", (1024, 24, 16)), ("giant", (1536, 40, 24))];

/// Every name [`Config::preset`] takes.
pub fn preset_names() -> Vec<String> {
    let vit = SIZES.iter().flat_map(|(size, _)| PATCHES.iter().map(move |p| format!("vit-{size}/{p}")));
    let dinov2 = DINOV2.iter().flat_map(|(size, _)| [format!("dinov2-{size}"), format!("dinov2-{size}-reg")]);
    std::iter::once("paper".to_owned()).chain(vit).chain(dinov2).collect()
}

impl Config {
    /// The architecture called `name`: `paper`, `vit-ti/16` (sizes ti, s, b, l; patches 8, 14, 16, 32; trained at 224),
    /// `dinov2-small` (small, base, large, giant; `-reg` with four registers; trained at 518).
    ///
    /// # Errors
    /// [`Error::Preset`] lists the known names.
    ///
    /// # Examples
    /// ```
    /// let small = aoi_encoder::Config::preset("vit-s/16")?;
    /// assert_eq!((small.width, small.depth, small.heads, small.patch), (384, 12, 6, 16));
    /// # Ok::<(), aoi_encoder::Error>(())
    /// ```
    pub fn preset(name: &str) -> Result<Self> {
        let unknown = || Error::Preset { found: name.to_owned(), known: preset_names().join(", ") };
        if name == "paper" {
            return Ok(Self::paper());
        }
        if let Some((size, patch)) = name.strip_prefix("vit-").and_then(|rest| rest.split_once('/')) {
            let shape = SIZES.iter().find(|s| s.0 == size).ok_or_else(unknown)?.1;
            let patch = *PATCHES.iter().find(|p| p.to_string() == patch).ok_or_else(unknown)?;
            let side = 224 / patch;
            return Ok(Self::vit(patch, shape, Grid { rows: side, columns: side }));
        }
        let rest = name.strip_prefix("dinov2-").ok_or_else(unknown)?;
        let (size, registers) = rest.strip_suffix("-reg").map_or((rest, 0), |size| (size, 4));
        let shape = DINOV2.iter().find(|s| s.0 == size).ok_or_else(unknown)?.1;
        let resampling = if registers > 0 { Resampling::Antialiased } else { Resampling::Offset };
        let plain = Self::vit(14, shape, Grid { rows: 37, columns: 37 });
        let (hidden, feedforward) =
            if size == "giant" { (4096, Feedforward::SwiGlu) } else { (plain.hidden, Feedforward::Gelu) };
        Ok(Self {
            registers,
            hidden,
            feedforward,
            layer_scale: true,
            positions: Positions::Learned { prefix: PrefixPositions::Class, resampling },
            ..plain
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;

    #[test]
    fn every_preset_is_a_valid_configuration() {
        let names = preset_names();
        assert_eq!(names.len(), 1 + 16 + 8);
        for name in names {
            let config = Config::preset(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(config.check().is_ok(), "{name}");
        }
    }

    #[test]
    fn an_unknown_preset_lists_the_known_ones() {
        for name in ["vit-xxl/16", "vit-s/15", "dinov2-tiny", "", "resnet"] {
            let message = Config::preset(name).unwrap_err().to_string();
            assert!(message.contains("vit-ti/16") && message.contains("dinov2-giant"), "{message}");
        }
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        // Without classification heads, as timm and the DINOv2 repository give them (millions, one decimal).
        for (name, millions) in [
            ("vit-ti/16", 5.5),
            ("vit-s/16", 21.7),
            ("vit-b/16", 85.8),
            ("vit-l/16", 303.3),
            ("dinov2-small", 22.1),
            ("dinov2-base", 86.6),
            ("dinov2-large", 304.4),
            ("dinov2-giant", 1136.5),
        ] {
            let table = Table::new(&Config::preset(name).unwrap()).unwrap();
            assert!((table.len() as f64 / 1e6 - millions).abs() < 0.06, "{name}: {}", table.len());
        }
    }
}
