//! Where everything of one file is read: canonical columns, features, verdicts and times.

use std::path::PathBuf;

use crate::io::cfx;
use crate::io::header::{Field, Header};
use crate::io::mapping::{Column, Mapping, WideFeature};
use crate::io::time::TimeReader;
use crate::io::tolerances::ToleranceTable;
use crate::io::verdict::VerdictReader;

/// Where everything of one file is read; shared by the threads that parse it.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) path: PathBuf,
    pub(crate) file: u32,
    /// The file holds IPC-CFX messages, not a table.
    pub(crate) is_cfx: bool,
    pub(crate) header: Header,
    pub(crate) verdict: VerdictReader,
    pub(crate) key: [Field; 6],
    pub(crate) measured: Vec<Measured>,
    /// Whether a row holds several features, of which some may be empty.
    pub(crate) wide: bool,
    pub(crate) nominal: Field,
    pub(crate) sigma: Field,
    pub(crate) resolution: Field,
    pub(crate) flagged: Field,
    pub(crate) record_id: Field,
    pub(crate) defect_id: Field,
    pub(crate) board: Field,
    pub(crate) refdes: Field,
    pub(crate) reviewer: Field,
    pub(crate) time: Field,
    pub(crate) times: TimeReader,
}

/// One measured quantity of a row.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Name and unit, where the row does not say them itself.
    pub(crate) feature: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) value: Quantity,
    pub(crate) lower: Field,
    pub(crate) upper: Field,
    pub(crate) nominal: Option<Field>,
}

/// How the value is read.
#[derive(Debug, Clone)]
pub(crate) enum Quantity {
    Absent,
    Plain(Field),
    /// The length of a vector.
    Length(Field, Field),
}

impl Layout {
    /// Finds every column; the error says which is missing or doubled.
    pub(crate) fn new(
        path: PathBuf,
        file: u32,
        header: Header,
        mapping: &Mapping,
        tolerances: Option<&ToleranceTable>,
    ) -> Result<Self, String> {
        let field = |column| header.field(column, mapping);
        let key = [
            field(Column::Part)?,
            field(Column::Model)?,
            field(Column::Revision)?,
            field(Column::Inspection)?,
            field(Column::Feature)?,
            field(Column::Unit)?,
        ];
        if key[0].is_absent() {
            let hint = header.other_delimiter().map_or_else(String::new, |d| {
                format!("; the fields seem to be separated by {d:?}: set file.delimiter in a mapping")
            });
            return Err(format!(
                "there is no column \"part\"; the header has {}{hint}. Name the site's column in a mapping (columns.part)",
                header.listed()
            ));
        }
        let measured = match &mapping.wide {
            None => vec![Measured::long(&field)?],
            Some(wide) => {
                let mut features = Vec::new();
                for feature in &wide.features {
                    features.push(Measured::wide(feature, &header)?);
                }
                if wide.features_from_tolerances {
                    let table = tolerances.ok_or("wide.features_from_tolerances needs a tolerance table")?;
                    for name in table.features() {
                        if let Ok(at) = header.position(name) {
                            features.push(Measured::column(name, at));
                        }
                    }
                }
                features
            }
        };
        let named =
            !key[3].is_absent() || !key[4].is_absent() || measured.iter().any(|m| m.feature.is_some());
        if !named {
            return Err(
                "there is neither a \"feature\" nor an \"inspection\" column; name one in a mapping".into()
            );
        }
        Ok(Self {
            path,
            file,
            is_cfx: false,
            verdict: VerdictReader::new(mapping, &header)?,
            key,
            measured,
            wide: mapping.wide.is_some(),
            nominal: field(Column::Nominal)?,
            sigma: field(Column::Sigma)?,
            resolution: field(Column::Resolution)?,
            flagged: field(Column::Flagged)?,
            record_id: field(Column::RecordId)?,
            defect_id: field(Column::DefectId)?,
            board: field(Column::Board)?,
            refdes: field(Column::Refdes)?,
            reviewer: field(Column::Reviewer)?,
            time: field(Column::Time)?,
            times: TimeReader::new(&mapping.file)?,
            header,
        })
    }

    /// The layout of the rows that IPC-CFX messages are turned into.
    pub(crate) fn of_messages(path: PathBuf, file: u32, mapping: &Mapping) -> Result<Self, String> {
        Ok(Self { is_cfx: true, ..Self::new(path, file, cfx::header(), &cfx::mapping_of(mapping), None)? })
    }

    /// The columns that anything is read from.
    #[cfg(feature = "parquet")]
    pub(crate) fn places(&self, mapping: &Mapping) -> Vec<usize> {
        let shared = [&self.nominal, &self.sigma, &self.resolution, &self.flagged, &self.record_id];
        let names = [&self.defect_id, &self.board, &self.refdes, &self.reviewer, &self.time];
        let measured = self.measured.iter().flat_map(|m| {
            let value = match &m.value {
                Quantity::Absent => [None, None],
                Quantity::Plain(value) => [Some(value), None],
                Quantity::Length(dx, dy) => [Some(dx), Some(dy)],
            };
            value.into_iter().flatten().chain([&m.lower, &m.upper]).chain(&m.nominal)
        });
        let fields = self.key.iter().chain(shared).chain(names).chain(measured);
        let mut places: Vec<usize> = fields.flat_map(Field::columns).copied().collect();
        places.extend(self.verdict.columns());
        // A word that no rule knows is shown as the column of verdicts has it.
        places.extend(self.header.field(Column::Verdict, mapping).unwrap_or(Field::Absent).columns());
        places
    }

    /// Whether rows carry a measured value.
    pub(crate) fn has_values(&self) -> bool {
        self.measured.iter().any(|m| !matches!(m.value, Quantity::Absent))
    }
}

impl Measured {
    fn long(field: &impl Fn(Column) -> Result<Field, String>) -> Result<Self, String> {
        let (dx, dy) = (field(Column::Dx)?, field(Column::Dy)?);
        let value = match field(Column::Value)? {
            Field::Absent if !dx.is_absent() && !dy.is_absent() => Quantity::Length(dx, dy),
            Field::Absent => Quantity::Absent,
            value => Quantity::Plain(value),
        };
        let (lower, upper) = (field(Column::Lower)?, field(Column::Upper)?);
        Ok(Self { feature: None, unit: None, value, lower, upper, nominal: None })
    }

    fn wide(feature: &WideFeature, header: &Header) -> Result<Self, String> {
        let optional = |name: &Option<String>| -> Result<Field, String> {
            name.as_ref().map_or(Ok(Field::Absent), |n| header.position(n).map(Field::One))
        };
        Ok(Self {
            feature: Some(feature.feature.clone().unwrap_or_else(|| feature.value.clone())),
            unit: feature.unit.clone(),
            value: Quantity::Plain(Field::One(header.position(&feature.value)?)),
            lower: optional(&feature.lower)?,
            upper: optional(&feature.upper)?,
            nominal: Some(optional(&feature.nominal)?),
        })
    }

    fn column(name: &str, at: usize) -> Self {
        Self {
            feature: Some(name.to_owned()),
            unit: None,
            value: Quantity::Plain(Field::One(at)),
            lower: Field::Absent,
            upper: Field::Absent,
            nominal: None,
        }
    }
}
