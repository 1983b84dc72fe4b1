//! How pictures were normalised in training, in a file's metadata.

use serde_json::{Value, json};

use crate::images::Normalisation;
use crate::{Error, Result};

/// Its key in what the metadata say.
pub(super) const KEY: &str = "normalisation";

/// Refuses a normalisation of other channels.
pub(super) fn check(normalisation: &Normalisation, channels: usize) -> Result<()> {
    for (what, values) in [("mean", &normalisation.mean), ("std", &normalisation.std)] {
        if values.len() != channels {
            return Err(Error::Shape { what, expected: format!("[{channels}]"), found: vec![values.len()] });
        }
    }
    Ok(())
}

/// Its numbers; JSON's f64 hold f32 exactly.
pub(super) fn to_json(normalisation: &Normalisation) -> Value {
    json!({"mean": normalisation.mean, "std": normalisation.std})
}

/// Reads what [`to_json`] wrote out of what the metadata say, for a file of `channels` channels; the error says what is wrong.
pub(super) fn from_json(said: &str, channels: usize) -> Result<Option<Normalisation>, String> {
    let bad = |reason: String| format!("normalisation in the metadata: {reason}");
    let said: Value = serde_json::from_str(said).map_err(|e| bad(e.to_string()))?;
    let Some(value) = said.get(KEY) else { return Ok(None) };
    let numbers = |key: &str| -> Result<Vec<f32>, String> {
        let list = value.get(key).and_then(Value::as_array);
        #[expect(clippy::cast_possible_truncation, reason = "they were f32 when they were written")]
        let numbers = list.map(|all| all.iter().map(|v| v.as_f64().map(|v| v as f32)).collect());
        numbers.flatten().ok_or_else(|| bad(format!("{key} is not a list of numbers")))
    };
    let found = Normalisation::new(channels, Some(&numbers("mean")?), Some(&numbers("std")?));
    found.map(Some).map_err(|e| bad(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_to_the_bit() {
        let written = Normalisation { mean: vec![0.1, 1.0 / 3.0], std: vec![0.7, f32::MIN_POSITIVE] };
        let said = json!({ KEY: to_json(&written) }).to_string();
        assert_eq!(from_json(&said, 2), Ok(Some(written)));
        assert_eq!(from_json("{}", 2), Ok(None));
    }

    #[test]
    fn damage_is_named() {
        for (text, word) in [
            ("no json", "metadata"),
            ("{\"std\": [1]}", "mean"),
            ("{\"mean\": [0], \"std\": [\"a\"]}", "std"),
            ("{\"mean\": [0, 0, 0], \"std\": [1]}", "mean"),
            ("{\"mean\": [0], \"std\": [0]}", "std"),
        ] {
            let message = from_json(&format!("{{\"normalisation\": {text}}}"), 2).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
        let three = Normalisation { mean: vec![0.0; 3], std: vec![1.0; 3] };
        assert!(check(&three, 2).is_err() && check(&three, 3).is_ok());
    }
}
