//! Names that come from records: any text at all, made safe to look at and short enough to draw.
//!
//! Escaping is the templates' work and happens to everything. Here only the eye is protected: characters that are invisible or turn
//! the text around them are replaced by U+FFFD, and what is drawn is cut to its room.

use crate::population::{Limit, Population};

/// `text` with control characters and directional overrides made visible.
pub(super) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// About how wide `text` is in a sans-serif face of `size`; on the wide side.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0.0,
        'i' | 'j' | 'l' | 't' | 'f' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '(' | ')' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'A'..='Z' => 0.74,
        '\u{1100}'.. => 1.05,
        _ => 0.62,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// `text` cut to `room`, with an ellipsis where something is missing.
pub(super) fn fitted(text: &str, room: f64, size: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept, size) > room - size {
            kept.pop();
            break;
        }
    }
    // A joiner or selector that lost what it joins would change the character before it.
    let whole = kept.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200d}');
    format!("{whole}\u{2026}")
}

/// How one limit is called in the report.
#[derive(Debug, Clone)]
pub(super) struct LimitName {
    pub(super) part: String,
    /// The rest of the key, and the version where the key has several.
    pub(super) rest: String,
    pub(super) unit: String,
    pub(super) side: String,
    /// What is measured.
    pub(super) feature: String,
}

impl LimitName {
    /// The name of the limit at `index`.
    pub(super) fn of(population: &Population, index: usize) -> Self {
        let limit = &population.limits[index];
        let key = &limit.id.key;
        let beside = |other: Option<&Limit>| {
            other.is_some_and(|o| o.id.key == *key && o.id.version != limit.id.version)
        };
        // Limits are sorted, so another version of the key is a neighbour of this one or of its other side.
        let several = (index.saturating_sub(2)..=index + 2).any(|i| beside(population.limits.get(i)));
        let fields = [&key.model, &key.revision, &key.inspection, &key.feature];
        let mut rest: Vec<String> =
            fields.into_iter().filter(|f| !f.is_empty()).map(|f| visible(f)).collect();
        if several {
            rest.push(format!("limits version {}", limit.id.version));
        }
        let feature = if key.feature.is_empty() { &key.inspection } else { &key.feature };
        Self {
            part: visible(&key.part),
            rest: rest.join(" / "),
            unit: visible(&key.unit),
            side: limit.id.side.to_string(),
            feature: visible(feature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_text_is_made_visible() {
        assert_eq!(visible("a\u{0}b\u{202e}c\u{9b}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(visible("R0402 <b> \u{5d0}\u{5d1} \u{1f600}"), "R0402 <b> \u{5d0}\u{5d1} \u{1f600}");
    }

    #[test]
    fn a_name_that_fits_is_whole_and_a_longer_one_ends_in_an_ellipsis() {
        assert_eq!(fitted("R0402", 100.0, 12.0), "R0402");
        let long = "W".repeat(400);
        let cut = fitted(&long, 100.0, 12.0);
        assert!(cut.ends_with('\u{2026}') && width(&cut, 12.0) <= 100.0 + 12.0, "{cut}");
        assert_eq!(fitted("", 0.0, 12.0), "");
    }
}
