//! What a `config.json` says beyond the tensors: Hugging Face's keys, or the short keys of small test models; and our own metadata.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{Config, Error, Feedforward, Grid, Positions, PrefixPositions, Resampling, Result};

/// Facts from a `config.json`; what it does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hints {
    /// Attention heads.
    pub heads: Option<usize>,
    /// Epsilon of the layer norms.
    pub norm_epsilon: Option<f64>,
    /// Training image (height, width) in pixels.
    pub image: Option<(usize, usize)>,
    /// Which prefix tokens have positions.
    pub prefix_positions: Option<PrefixPositions>,
    /// Width, to be compared with the tensors.
    pub width: Option<usize>,
    /// Depth, to be compared.
    pub depth: Option<usize>,
    /// Patch side, to be compared.
    pub patch: Option<usize>,
    /// Channels, to be compared.
    pub channels: Option<usize>,
    /// Register tokens, to be compared.
    pub registers: Option<usize>,
    /// Rows of the first feed-forward matrix.
    pub hidden_rows: Option<usize>,
}

/// The hints in the `config.json` beside `weights`; none where there is no such file.
pub(super) fn beside(weights: &Path, notes: &mut Vec<String>) -> Result<Hints> {
    let path = weights.with_file_name("config.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Hints::default()),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let bad =
        |found: String| Error::Format { path: path.clone(), expected: "an encoder's configuration", found };
    let value: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let keys = value.as_object().ok_or_else(|| bad("no JSON object".to_owned()))?;
    if keys.contains_key("hidden_size") {
        hugging_face(keys).map_err(bad)
    } else if keys.contains_key("dim") {
        short(keys).map_err(bad)
    } else {
        notes.push("config.json has neither hidden_size nor dim and was not used".to_owned());
        Ok(Hints::default())
    }
}

/// An integer under `key`; an error when it is something else, `None` when it is absent or null.
fn whole(keys: &Map<String, Value>, key: &str) -> Result<Option<usize>, String> {
    match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(v) => match v.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(Some(n)),
            None => Err(format!("{key}: expected a whole number, found {v}")),
        },
    }
}

/// A size under `key`: one number for a square, or \[height, width\].
fn size(keys: &Map<String, Value>, key: &str) -> Result<Option<(usize, usize)>, String> {
    if let Some(Value::Array(sides)) = keys.get(key) {
        let side = |i: usize| sides.get(i).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        return match (sides.len(), side(0), side(1)) {
            (2, Some(height), Some(width)) => Ok(Some((height, width))),
            _ => Err(format!("{key}: expected [height, width], found {}", Value::Array(sides.clone()))),
        };
    }
    Ok(whole(keys, key)?.map(|n| (n, n)))
}

fn hugging_face(keys: &Map<String, Value>) -> Result<Hints, String> {
    if let Some(name) = keys.get("hidden_act")
        && name.as_str() != Some("gelu")
        && keys.get("use_swiglu_ffn") != Some(&Value::Bool(true))
    {
        return Err(format!("hidden_act: expected \"gelu\", found {name}"));
    }
    let patch = size(keys, "patch_size")?;
    if let Some((height, width)) = patch.filter(|p| p.0 != p.1) {
        return Err(format!("patch_size: expected a square, found {height} x {width}"));
    }
    Ok(Hints {
        heads: whole(keys, "num_attention_heads")?,
        norm_epsilon: keys.get("layer_norm_eps").and_then(Value::as_f64),
        image: size(keys, "image_size")?,
        prefix_positions: None,
        width: whole(keys, "hidden_size")?,
        depth: whole(keys, "num_hidden_layers")?,
        patch: patch.map(|p| p.0),
        channels: whole(keys, "num_channels")?,
        registers: whole(keys, "num_register_tokens")?,
        hidden_rows: whole(keys, "intermediate_size")?,
    })
}

fn short(keys: &Map<String, Value>) -> Result<Hints, String> {
    let no_class = keys.get("no_embed_class").and_then(Value::as_bool);
    Ok(Hints {
        heads: whole(keys, "heads")?,
        norm_epsilon: keys.get("eps").and_then(Value::as_f64),
        image: size(keys, "train_size")?,
        prefix_positions: no_class.map(|no| if no { PrefixPositions::None } else { PrefixPositions::All }),
        width: whole(keys, "dim")?,
        depth: whole(keys, "depth")?,
        patch: whole(keys, "patch")?,
        channels: whole(keys, "channels")?,
        registers: whole(keys, "registers")?,
        hidden_rows: None,
    })
}

/// Every field of a configuration, as the metadata of our own format say it.
pub fn architecture(config: &Config) -> Value {
    let positions = match config.positions {
        Positions::SinCos => json!({"kind": "sin_cos"}),
        Positions::Learned { prefix, resampling } => json!({
            "kind": "learned",
            "prefix": match prefix {
                PrefixPositions::None => "none",
                PrefixPositions::Class => "class",
                PrefixPositions::All => "all",
            },
            "resampling": match resampling {
                Resampling::Antialiased => "antialiased",
                Resampling::Plain => "plain",
                Resampling::Offset => "offset",
            },
        }),
    };
    json!({
        "channels": config.channels,
        "patch": config.patch,
        "width": config.width,
        "depth": config.depth,
        "heads": config.heads,
        "hidden": config.hidden,
        "feedforward": match config.feedforward { Feedforward::Gelu => "gelu", Feedforward::SwiGlu => "swiglu" },
        "qkv_bias": config.qkv_bias,
        "layer_scale": config.layer_scale,
        "registers": config.registers,
        "positions": positions,
        "grid": [config.grid.rows, config.grid.columns],
        "norm_epsilon": config.norm_epsilon,
    })
}

/// The configuration in our own metadata.
pub(super) fn own(text: &str) -> Result<Config, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|e| format!("configuration in the metadata: {e}"))?;
    let keys = value.as_object().ok_or("configuration in the metadata: no JSON object")?;
    let need =
        |key: &str| whole(keys, key)?.ok_or_else(|| format!("configuration in the metadata: no {key}"));
    let flag = |key: &str| {
        keys.get(key).and_then(Value::as_bool).ok_or_else(|| format!("{key}: expected true or false"))
    };
    let word = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let positions =
        keys.get("positions").and_then(Value::as_object).ok_or("positions: expected an object")?;
    let positions = match word(positions.get("kind")).as_str() {
        "sin_cos" => Positions::SinCos,
        "learned" => Positions::Learned {
            prefix: match word(positions.get("prefix")).as_str() {
                "none" => PrefixPositions::None,
                "class" => PrefixPositions::Class,
                "all" => PrefixPositions::All,
                other => return Err(format!("prefix: expected none, class or all, found {other:?}")),
            },
            resampling: match word(positions.get("resampling")).as_str() {
                "antialiased" => Resampling::Antialiased,
                "plain" => Resampling::Plain,
                "offset" => Resampling::Offset,
                other => {
                    return Err(format!(
                        "resampling: expected antialiased, plain or offset, found {other:?}"
                    ));
                }
            },
        },
        other => return Err(format!("positions: expected learned or sin_cos, found {other:?}")),
    };
    let (rows, columns) = size(keys, "grid")?.ok_or("configuration in the metadata: no grid")?;
    Ok(Config {
        channels: need("channels")?,
        patch: need("patch")?,
        width: need("width")?,
        depth: need("depth")?,
        heads: need("heads")?,
        hidden: need("hidden")?,
        feedforward: match word(keys.get("feedforward")).as_str() {
            "gelu" => Feedforward::Gelu,
            "swiglu" => Feedforward::SwiGlu,
            other => return Err(format!("feedforward: expected gelu or swiglu, found {other:?}")),
        },
        qkv_bias: flag("qkv_bias")?,
        layer_scale: flag("layer_scale")?,
        registers: need("registers")?,
        positions,
        grid: Grid { rows, columns },
        norm_epsilon: keys
            .get("norm_epsilon")
            .and_then(Value::as_f64)
            .ok_or("norm_epsilon: expected a number")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset_names;

    #[test]
    fn every_preset_survives_our_own_metadata() {
        for name in preset_names() {
            let config = Config::preset(&name).unwrap();
            assert_eq!(own(&architecture(&config).to_string()), Ok(config), "{name}");
        }
        let config = Config { positions: Positions::SinCos, qkv_bias: false, ..Config::paper() };
        assert_eq!(own(&architecture(&config).to_string()), Ok(config));
    }

    #[test]
    fn an_activation_we_do_not_have_is_refused() {
        let value = json!({"hidden_size": 64, "hidden_act": "quick_gelu"});
        assert!(hugging_face(value.as_object().unwrap()).unwrap_err().contains("quick_gelu"));
    }

    #[test]
    fn numbers_that_are_none_are_named() {
        let value = json!({"dim": "wide"});
        assert!(short(value.as_object().unwrap()).unwrap_err().contains("dim"));
        let value = json!({"hidden_size": 8, "image_size": [1, 2, 3]});
        assert!(hugging_face(value.as_object().unwrap()).unwrap_err().contains("image_size"));
    }
}
