//! The part of the page that answers while it is looked at: every limit at every whole percentile, computed here and looked up there.
//!
//! The page's script chooses rows and adds whole numbers; it computes no limit and spells no number. What it writes to a file is made of the cells that
//! [`LimitsTable`] writes at that percentile, so that the file is the one that an optimisation at that percentile writes.
//!
//! Cells repeat a lot. The table in the page is a list of distinct texts, for each limit the cells that never change, and the percentiles from which the
//! others do.

use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::evidence::Evidence;
use crate::io::{LimitForm, LimitsTable, shortest};
use crate::options::Options;
use crate::population::Limit;
use crate::simulate::simulate;

/// What the limits file says beside the limits; see [`LimitsTable`].
#[derive(Debug, Clone, Copy)]
pub struct LimitsFile<'a> {
    /// Digest of the records.
    pub input_sha256: &'a str,
    /// The site's form of limits.
    pub form: LimitForm,
}

/// Rows that a page may hold, one for each limit and each percentile at which something of it changes: about 60 bytes each.
const ROWS: usize = 40_000;

/// The script of the page; it holds no data.
const SCRIPT: &str = include_str!("../../templates/live.js");

/// The table of a page, and what its markup needs.
#[derive(Debug)]
pub(super) struct Live {
    /// Place of the slider's last stop.
    pub(super) last: usize,
    /// Where the percentile in use stands among them.
    pub(super) start: usize,
    /// The percentile in use, spelled as in the limits file.
    pub(super) percentile: String,
    /// Whether certificates hold at once, which allows no limit a percentile of its own.
    pub(super) simultaneous: bool,
    /// Digest of the script, by which the page's content policy knows it.
    pub(super) script_sha256: String,
    json: String,
}

impl Live {
    /// None where the table would be too large for a page.
    pub(super) fn new(
        limits: &[Limit],
        evidence: &[Evidence],
        options: &Options,
        file: &LimitsFile<'_>,
    ) -> Result<Option<Self>, Error> {
        let mut percentiles: Vec<f64> = (0..=100).map(f64::from).collect();
        if !percentiles.contains(&options.percentile) {
            percentiles.push(options.percentile);
            percentiles.sort_by(f64::total_cmp);
        }
        let mut table = Table::new(limits.len());
        simulate(evidence, &percentiles, options, |what_if| {
            let options = Options { percentile: what_if.percentile(), ..options.clone() };
            let proposals = what_if.proposals()?;
            let at = LimitsTable {
                limits,
                proposals: &proposals,
                options: &options,
                input_sha256: file.input_sha256,
                form: file.form,
            };
            table.add(&at);
            // Nothing is kept of a table that has become too large, so its size is bounded while it grows.
            if table.rows > ROWS { Err(Error::Cancelled) } else { Ok(()) }
        })
        .map_or_else(|e| if matches!(e, Error::Cancelled) { Ok(()) } else { Err(e) }, Ok)?;
        if table.rows > ROWS {
            return Ok(None);
        }
        let start = percentiles.iter().position(|p| *p == options.percentile).unwrap_or(0);
        let spelled: Vec<String> = percentiles.iter().map(|&p| shortest(p)).collect();
        Ok(Some(Self {
            last: percentiles.len() - 1,
            start,
            percentile: spelled[start].clone(),
            simultaneous: options.simultaneous,
            script_sha256: base64(&Sha256::digest(SCRIPT.as_bytes())),
            json: table.json(&spelled),
        }))
    }

    /// The table and the script, as elements to stand at the end of the body.
    pub(super) fn elements(&self) -> String {
        let json = &self.json;
        format!(
            "<script type=\"application/json\" id=\"live-table\">{json}</script>\n<script>{SCRIPT}</script>\n"
        )
    }
}

/// Every limit at every percentile so far.
struct Table {
    words: Words,
    /// For each limit, the percentiles at which its cells change, and its cells from there on.
    changes: Vec<Vec<(usize, Vec<usize>)>>,
    rows: usize,
    percentiles: usize,
}

impl Table {
    fn new(limits: usize) -> Self {
        Self { words: Words::default(), changes: vec![Vec::new(); limits], rows: 0, percentiles: 0 }
    }

    fn add(&mut self, at: &LimitsTable<'_>) {
        for (changes, mut cells) in self.changes.iter_mut().zip(at.texts()) {
            // The script fills in the percentile, which else would make every row another one.
            cells[PERCENTILE].clear();
            let cells: Vec<usize> = cells.into_iter().map(|cell| self.words.place(cell)).collect();
            if changes.last().is_none_or(|(_, last)| *last != cells) {
                changes.push((self.percentiles, cells));
                self.rows += 1;
            }
        }
        self.percentiles += 1;
    }

    fn json(&self, percentiles: &[String]) -> String {
        let columns = LimitsTable::COLUMNS;
        let differs =
            |at: &usize| self.changes.iter().any(|c| c.iter().any(|(_, cells)| cells[*at] != c[0].1[*at]));
        let varying: Vec<usize> = (0..columns.len()).filter(differs).collect();
        let numbers =
            |all: &mut dyn Iterator<Item = usize>| all.map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let texts = |all: &mut dyn Iterator<Item = &str>| all.map(quoted).collect::<Vec<_>>().join(",");
        let limits: Vec<String> = (self.changes.iter())
            .map(|changes| {
                let fixed = (0..columns.len()).filter(|at| !varying.contains(at)).map(|at| changes[0].1[at]);
                let rows = changes.iter().flat_map(|(from, cells)| {
                    std::iter::once(*from).chain(varying.iter().map(|&at| cells[at]))
                });
                format!("[[{}],[{}]]", numbers(&mut fixed.into_iter()), numbers(&mut rows.into_iter()))
            })
            .collect();
        format!(
            "{{\"columns\":[{}],\"percentiles\":[{}],\"varying\":[{}],\"words\":[{}],\n\"limits\":[{}]}}",
            texts(&mut columns.iter().copied()),
            texts(&mut percentiles.iter().map(String::as_str)),
            numbers(&mut varying.iter().copied()),
            texts(&mut self.words.list.iter().map(String::as_str)),
            limits.join(",\n"),
        )
    }
}

/// Place of the percentile among the columns of the limits file.
const PERCENTILE: usize = 9;

/// Distinct texts, by place.
#[derive(Default)]
struct Words {
    list: Vec<String>,
    places: HashMap<String, usize>,
}

impl Words {
    fn place(&mut self, word: String) -> usize {
        if let Some(&place) = self.places.get(&word) {
            return place;
        }
        self.list.push(word.clone());
        self.places.insert(word, self.list.len() - 1);
        self.list.len() - 1
    }
}

/// A JSON string that cannot end the element it stands in: everything but plain letters, digits and signs is escaped.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if (byte.is_ascii_graphic() || byte == b' ') && !b"\"\\<>&'".contains(&byte) => {
                json.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(json, "\\u{unit:04x}")),
        }
    }
    json + "\""
}

/// RFC 4648, of 32 bytes: content policies name a script so.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([0, 0].iter()).take(3).fold(0, |bits, b| bits << 8 | usize::from(*b));
        for place in 0..4 {
            let letter = char::from(LETTERS[bits >> (18 - 6 * place) & 63]);
            text.push(if place > chunk.len() { '=' } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let of = |text: &str| base64(text.as_bytes());
        assert_eq!(["", "f", "fo", "foo", "foob"].map(of), ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }

    #[test]
    fn a_text_stays_inside_its_quotes_and_comes_back() {
        for text in ["plain 4.5", "</script><script>", "a\"b\\c\n\u{202e}\u{1f600}\u{2028}'&", ""] {
            let json = quoted(text);
            assert!(
                json.is_ascii() && !json[1..json.len() - 1].contains(['<', '>', '"', '&', '\'']),
                "{json}"
            );
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn the_percentile_stands_where_it_is_left_out() {
        assert_eq!(LimitsTable::COLUMNS[PERCENTILE], "percentile");
    }
}
