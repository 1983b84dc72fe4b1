//! Mixing rules as words: `similarity`, `uniform`, `attention:0.02`, `multi-scale:0.02`, several temperatures for one per class.

use std::fmt;
use std::str::FromStr;

use super::{Beta, Rule};
use crate::RetrievalError;

/// Temperature where none is given.
const USUAL_BETA: f64 = 0.02;

impl fmt::Display for Beta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(beta) => write!(f, "{beta}"),
            Self::PerClass(betas) => {
                let words: Vec<String> = betas.iter().map(f64::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Similarity => f.write_str("similarity"),
            Self::Uniform => f.write_str("uniform"),
            Self::Attention(beta) => write!(f, "attention:{beta}"),
            Self::MultiScale(beta) => write!(f, "multi-scale:{beta}"),
        }
    }
}

impl FromStr for Rule {
    type Err = RetrievalError;

    /// Reads what `Display` writes; a temperature left out is 0.02.
    fn from_str(text: &str) -> Result<Self, RetrievalError> {
        let bad = || {
            let expected = "similarity, uniform, attention:BETA or multi-scale:BETA, \
                            BETA above 0 or one such number per class with commas between";
            RetrievalError::bad_option("mixing rule", expected, text)
        };
        let (name, beta) = text.split_once(':').map_or((text, None), |(name, beta)| (name, Some(beta)));
        let temperature = || -> Result<Beta, RetrievalError> {
            let Some(words) = beta else { return Ok(Beta::Shared(USUAL_BETA)) };
            let read = |word: &str| word.trim().parse::<f64>().ok().filter(|b| b.is_finite() && *b > 0.0);
            let betas: Option<Vec<f64>> = words.split(',').map(read).collect();
            match betas.ok_or_else(bad)?.as_slice() {
                [beta] => Ok(Beta::Shared(*beta)),
                several => Ok(Beta::PerClass(several.to_vec())),
            }
        };
        match (name, beta) {
            ("similarity", None) => Ok(Self::Similarity),
            ("uniform", None) => Ok(Self::Uniform),
            ("attention", _) => Ok(Self::Attention(temperature()?)),
            ("multi-scale", _) => Ok(Self::MultiScale(temperature()?)),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_reads_back_from_its_name() {
        for rule in [
            Rule::Similarity,
            Rule::Uniform,
            Rule::Attention(Beta::Shared(0.1)),
            Rule::MultiScale(Beta::PerClass(vec![0.02, 1.0 / 3.0])),
        ] {
            assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
        }
        assert_eq!("attention".parse::<Rule>().unwrap(), Rule::Attention(Beta::Shared(0.02)));
    }

    #[test]
    fn words_that_are_no_rule_are_refused_with_the_choice() {
        for word in [
            "",
            "nearest",
            "similarity:1",
            "attention:0",
            "attention:-1",
            "attention:nan",
            "attention:",
            "attention:1,,2",
        ] {
            let error = word.parse::<Rule>().unwrap_err().to_string();
            assert!(error.contains("multi-scale:BETA"), "{word}: {error}");
        }
    }
}
