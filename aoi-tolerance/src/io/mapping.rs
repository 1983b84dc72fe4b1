//! How a site's own columns, words and limit forms map to the record format.
//!
//! No two lines export the same columns, so the mapping is a small TOML file that travels with the records. Every table is optional:
//! without a mapping the canonical column names and words are expected. An unknown table or key is an error, not a silent no-op.
//! `formats/mapping.schema.json` describes the format, `formats/mapping.example.toml` shows each part of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::Error;
use crate::io::form::LimitForm;
use crate::record::Verdict;

/// A mapping file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// How the text is written.
    pub file: FileFormat,
    /// Canonical column -> the site's column, or several whose fields are joined by `/`.
    pub columns: BTreeMap<Column, Names>,
    /// Canonical column -> a value for every row, where the site has no such column.
    pub constants: BTreeMap<Column, String>,
    /// How verdicts are read.
    pub verdict: VerdictMapping,
    /// How limits are written.
    pub limits: LimitMapping,
    /// One column per feature instead of one row per measurement.
    pub wide: Option<WideMapping>,
    /// Canonical column -> column of a separate tolerance table.
    pub tolerances: BTreeMap<Column, String>,
    /// What IPC-CFX messages do not say.
    pub cfx: CfxMapping,
}

/// What IPC-CFX messages do not say about a measurement.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CfxMapping {
    /// Reference designator, without pin -> part number. A designator that is not listed is its own part.
    pub parts: BTreeMap<String, String>,
}

/// How the text of a records file is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FileFormat {
    /// One ASCII character between fields.
    pub delimiter: char,
    /// Numbers use a comma before the fraction.
    pub decimal_comma: bool,
    /// Fields, besides the empty one, that mean "no value".
    pub missing: Vec<String>,
    /// How times are written, in strftime notation; RFC 3339 if absent.
    pub time_format: Option<String>,
    /// Zone of times that carry no offset, such as `+02:00`.
    pub time_offset: Option<String>,
    /// Lines before the header.
    pub skip_lines: u64,
}

impl Default for FileFormat {
    fn default() -> Self {
        Self {
            delimiter: ',',
            decimal_comma: false,
            missing: Vec::new(),
            time_format: None,
            time_offset: None,
            skip_lines: 0,
        }
    }
}

impl FileFormat {
    /// Whether a trimmed field says that nothing is there.
    pub(crate) fn is_missing(&self, field: &str) -> bool {
        field.is_empty() || self.missing.iter().any(|word| word == field)
    }
}

/// A canonical column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the format's own; formats/mapping.schema.json describes each")]
pub enum Column {
    Part,
    Model,
    Revision,
    Inspection,
    Feature,
    Unit,
    Value,
    Dx,
    Dy,
    Lower,
    Upper,
    Nominal,
    Sigma,
    Resolution,
    Flagged,
    Verdict,
    DefectId,
    Board,
    Refdes,
    RecordId,
    Reviewer,
    Time,
}

impl Column {
    /// All columns; the first six are the key's, in its order.
    pub const ALL: [Self; 22] = [
        Self::Part,
        Self::Model,
        Self::Revision,
        Self::Inspection,
        Self::Feature,
        Self::Unit,
        Self::Value,
        Self::Dx,
        Self::Dy,
        Self::Lower,
        Self::Upper,
        Self::Nominal,
        Self::Sigma,
        Self::Resolution,
        Self::Flagged,
        Self::Verdict,
        Self::DefectId,
        Self::Board,
        Self::Refdes,
        Self::RecordId,
        Self::Reviewer,
        Self::Time,
    ];

    /// The name in a canonical file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Part => "part",
            Self::Model => "model",
            Self::Revision => "revision",
            Self::Inspection => "inspection",
            Self::Feature => "feature",
            Self::Unit => "unit",
            Self::Value => "value",
            Self::Dx => "dx",
            Self::Dy => "dy",
            Self::Lower => "lower",
            Self::Upper => "upper",
            Self::Nominal => "nominal",
            Self::Sigma => "sigma",
            Self::Resolution => "resolution",
            Self::Flagged => "flagged",
            Self::Verdict => "verdict",
            Self::DefectId => "defect_id",
            Self::Board => "board",
            Self::Refdes => "refdes",
            Self::RecordId => "record_id",
            Self::Reviewer => "reviewer",
            Self::Time => "time",
        }
    }
}

/// One column of the site, or several joined by `/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Names {
    /// One column.
    One(String),
    /// Several columns.
    Joined(Vec<String>),
}

impl Names {
    /// The columns.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Joined(names) => names,
        }
    }
}

/// How verdicts are read.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct VerdictMapping {
    /// The site's word (in any case) -> verdict, beside the canonical words; for a single verdict column.
    pub words: BTreeMap<String, VerdictWord>,
    /// For verdicts built from several columns: the first rule whose conditions all hold decides.
    pub rules: Vec<VerdictRule>,
}

/// One rule of a verdict built from several columns.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VerdictRule {
    /// Column -> the word it must hold (in any case); the empty word matches an empty or missing field.
    pub when: BTreeMap<String, String>,
    /// What the record is then.
    pub verdict: VerdictWord,
    /// A name for reports, such as "overturned"; the conditions if absent.
    pub name: Option<String>,
}

/// A verdict in a mapping file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the canonical words, documented at `Verdict`")]
pub enum VerdictWord {
    Pass,
    FalseCall,
    Pending,
    Provisional,
    Borderline,
    Defect,
    Escape,
}

impl From<VerdictWord> for Verdict {
    fn from(word: VerdictWord) -> Self {
        match word {
            VerdictWord::Pass => Self::Pass,
            VerdictWord::FalseCall => Self::FalseCall,
            VerdictWord::Pending => Self::Pending,
            VerdictWord::Provisional => Self::Provisional,
            VerdictWord::Borderline => Self::Borderline,
            VerdictWord::Defect => Self::Defect,
            VerdictWord::Escape => Self::Escape,
        }
    }
}

/// How limits are written.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LimitMapping {
    /// The form of the lower and upper columns.
    pub form: LimitForm,
}

/// One column per feature.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct WideMapping {
    /// The features and their columns.
    pub features: Vec<WideFeature>,
    /// Take every column that the tolerance table names as a feature.
    pub features_from_tolerances: bool,
}

/// One feature of a wide file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WideFeature {
    /// Its name in the records; the column's name if absent.
    pub feature: Option<String>,
    /// Column of its value.
    pub value: String,
    /// Column of its lower limit.
    pub lower: Option<String>,
    /// Column of its upper limit.
    pub upper: Option<String>,
    /// Column of its nominal value.
    pub nominal: Option<String>,
    /// Its unit.
    pub unit: Option<String>,
}

impl Mapping {
    /// Reads and checks a mapping file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or holds a key or value that the format does not have; the message names the line.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| Error::Mapping { path: path.to_owned(), reason })
    }

    /// Parses and checks the text of a mapping file.
    fn parse(text: &str) -> Result<Self, String> {
        let mapping: Self = toml::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| e.to_string())?;
        if !mapping.file.delimiter.is_ascii() || matches!(mapping.file.delimiter, '"' | '\n' | '\r') {
            return Err(format!(
                "file.delimiter is {:?}; expected one ASCII character",
                mapping.file.delimiter
            ));
        }
        if mapping.file.decimal_comma && mapping.file.delimiter == ',' {
            return Err(
                "file.decimal_comma needs another file.delimiter than the comma, such as \";\"".into()
            );
        }
        if let Some(both) = mapping.columns.keys().find(|c| mapping.constants.contains_key(c)) {
            return Err(format!("{} stands under both columns and constants", both.name()));
        }
        if mapping.wide.as_ref().is_some_and(|w| w.features.is_empty() && !w.features_from_tolerances) {
            return Err("wide names no features; list them or set wide.features_from_tolerances".into());
        }
        Ok(mapping)
    }

    /// The delimiter as a byte.
    pub(crate) fn delimiter(&self) -> u8 {
        u8::try_from(self.file.delimiter).unwrap_or(b',')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_uses_every_table_and_is_accepted() {
        let mapping = Mapping::parse(include_str!("../../formats/mapping.example.toml")).unwrap();
        assert_eq!(mapping.file.delimiter, ';');
        assert!(
            !mapping.columns.is_empty() && !mapping.constants.is_empty() && !mapping.verdict.words.is_empty()
        );
    }

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let mut schema = serde_json::to_value(schemars::schema_for!(Mapping)).unwrap();
        schema["title"] = "aoi mapping file (TOML)".into();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats/mapping.schema.json");
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("AOI_WRITE_SCHEMA").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap();
        assert_eq!(published, text, "run this test with AOI_WRITE_SCHEMA=1 to publish the types' schema");
    }

    #[test]
    fn what_the_format_does_not_have_is_an_error_that_names_it() {
        for (text, named) in [
            ("[colums]\npart = \"p\"", "colums"),
            ("[columns]\nprat = \"p\"", "prat"),
            ("[verdict.words]\nok = \"fine\"", "fine"),
            ("[file]\ndelimiter = \"\u{e9}\"", "delimiter"),
            ("[file]\ndecimal_comma = true", "decimal_comma"),
            ("[columns]\npart = \"p\"\n[constants]\npart = \"x\"", "part"),
            ("[wide]\nfeatures = []", "wide"),
            ("not toml", "line 1"),
        ] {
            let error = Mapping::parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
