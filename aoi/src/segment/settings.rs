//! How neighbours become masks, and the file that keeps it.

use std::path::Path;

use aoi_encoder::ndarray::{Array3, ArrayView3};
use aoi_retrieval::{Rule, decide_by_threshold, decide_single};
use aoi_tolerance::io::write_whole;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How scores become masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Every class whose score is above its threshold.
    #[default]
    Threshold,
    /// The best class, or background, whose score is 1 minus the best.
    Best,
}

/// Neighbours, mixing rule, thresholds, decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Neighbours per patch.
    pub k: usize,
    /// How their masks are mixed.
    pub rule: Rule,
    /// One threshold, or one a class.
    pub thresholds: Vec<f64>,
    /// How scores become masks.
    pub decision: Decision,
}

impl Default for Settings {
    /// Ten neighbours mixed by similarity, thresholds of a half.
    fn default() -> Self {
        Self { k: 10, rule: Rule::Similarity, thresholds: vec![0.5], decision: Decision::Threshold }
    }
}

/// The file's form.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    k: usize,
    mix: String,
    thresholds: Vec<f64>,
    #[serde(default)]
    decision: Decision,
}

impl Settings {
    /// Checks everything that does not depend on pictures.
    ///
    /// # Errors
    /// When k is 0, a temperature does not fit, or there is neither one threshold nor one a class, each a finite number.
    pub fn check(&self, classes: usize) -> Result<()> {
        if self.k == 0 {
            return Err(Error::option("k", "at least 1", 0));
        }
        self.rule.weights(&[0.0], classes - 1)?;
        let n = self.thresholds.len();
        if n != 1 && n != classes {
            return Err(Error::option("thresholds", format!("one number, or {classes} (one a class)"), n));
        }
        match self.thresholds.iter().find(|t| !t.is_finite()) {
            Some(bad) => Err(Error::option("thresholds", "finite numbers", bad)),
            None => Ok(()),
        }
    }

    /// Writes `{"k": 10, "mix": "similarity", "thresholds": [0.5], "decision": "threshold"}`.
    ///
    /// # Errors
    /// When the system cannot write.
    pub fn save(&self, path: &Path) -> Result<()> {
        let Self { k, rule, thresholds, decision } = self;
        let written =
            Written { k: *k, mix: rule.to_string(), thresholds: thresholds.clone(), decision: *decision };
        Ok(write_whole(path, |out| {
            serde_json::to_writer_pretty(&mut *out, &written).map_err(std::io::Error::other)?;
            writeln!(out)
        })?)
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read or is no such file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let bad = |found: String| {
            Error::file(path, "settings as `aoi segment tune` writes them", found, "tune again")
        };
        let Written { k, mix, thresholds, decision } =
            serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let rule = mix.parse().map_err(|e: aoi_retrieval::RetrievalError| bad(e.to_string()))?;
        Ok(Self { k, rule, thresholds, decision })
    }
}

/// Masks from scores, \[c, height, width\].
///
/// # Errors
/// When the number of thresholds does not fit.
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
pub fn decide(scores: ArrayView3<'_, f64>, settings: &Settings) -> Result<Array3<u8>> {
    Ok(match settings.decision {
        Decision::Threshold => decide_by_threshold(scores, &settings.thresholds)?,
        Decision::Best => {
            let map = decide_single(scores)?;
            Array3::from_shape_fn(scores.dim(), |(c, y, x)| u8::from(usize::from(map[[y, x]]) == c + 1))
        }
    })
}

#[cfg(test)]
mod tests {
    use aoi_encoder::ndarray::array;
    use aoi_retrieval::Beta;

    use super::*;

    #[test]
    fn settings_read_back_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let settings = Settings {
            k: 30,
            rule: Rule::Attention(Beta::PerClass(vec![0.02, 0.1])),
            thresholds: vec![0.2, 0.05],
            decision: Decision::Best,
        };
        settings.save(&path).unwrap();
        assert_eq!(Settings::load(&path).unwrap(), settings);
        for text in [
            "",
            "{}",
            r#"{"k":1,"mix":"nearest","thresholds":[]}"#,
            r#"{"k":1,"mix":"uniform","thresholds":[0.5],"x":1}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(Settings::load(&path).unwrap_err().to_string().contains("settings.json"), "{text}");
        }
    }

    #[test]
    fn senseless_settings_are_wrong_usage() {
        let good = Settings::default();
        good.check(3).unwrap();
        for bad in [
            Settings { k: 0, ..good.clone() },
            Settings { thresholds: vec![], ..good.clone() },
            Settings { thresholds: vec![0.5; 2], ..good.clone() },
            Settings { thresholds: vec![f64::NAN], ..good.clone() },
            Settings { rule: Rule::Attention(Beta::Shared(0.0)), ..good.clone() },
            Settings { rule: Rule::Attention(Beta::PerClass(vec![0.1; 2])), ..good.clone() },
        ] {
            assert!(bad.check(3).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_best_class_is_alone_where_thresholds_allow_two() {
        let scores = array![[[0.6, 0.2]], [[0.7, 0.3]]];
        let both = decide(scores.view(), &Settings::default()).unwrap();
        assert_eq!(both, array![[[1, 0]], [[1, 0]]]);
        let best = Settings { decision: Decision::Best, ..Settings::default() };
        assert_eq!(decide(scores.view(), &best).unwrap(), array![[[0, 0]], [[1, 0]]]);
    }
}
