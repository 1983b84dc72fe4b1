//! The header of a file, and where a canonical column is found by it.

use std::borrow::Cow;

use csv::StringRecord;

use crate::io::mapping::{Column, Mapping};

/// The header of one file.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    names: Vec<String>,
}

impl Header {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self { names: names.map(|n| n.trim().to_owned()).collect() }
    }

    /// How many fields each row must have.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of a column.
    pub(crate) fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", String::as_str)
    }

    /// Where the one column with this name stands.
    pub(crate) fn position(&self, name: &str) -> Result<usize, String> {
        match self.find(name)? {
            Some(at) => Ok(at),
            None => Err(format!("there is no column {name:?}; the header has {}", self.listed())),
        }
    }

    fn find(&self, name: &str) -> Result<Option<usize>, String> {
        let mut found = self.names.iter().enumerate().filter(|(_, n)| *n == name).map(|(at, _)| at);
        let first = found.next();
        match found.next() {
            Some(_) => {
                Err(format!("column {name:?} stands twice in the header; give one of them another name"))
            }
            None => Ok(first),
        }
    }

    /// Where a canonical column is read; absent if the mapping does not name it and the header has no column of that name.
    pub(crate) fn field(&self, column: Column, mapping: &Mapping) -> Result<Field, String> {
        if let Some(constant) = mapping.constants.get(&column) {
            return Ok(Field::Constant(constant.clone()));
        }
        let Some(names) = mapping.columns.get(&column) else {
            return Ok(self.find(column.name())?.map_or(Field::Absent, Field::One));
        };
        let mut places: Vec<usize> =
            names.all().iter().map(|n| self.position(n)).collect::<Result<_, _>>()?;
        Ok(match places.len() {
            0 => Field::Absent,
            1 => Field::One(places.remove(0)),
            _ => Field::Joined(places),
        })
    }

    /// The names as a reader should see them, shortened when they are many.
    pub(crate) fn listed(&self) -> String {
        const SHOWN: usize = 30;
        let listed = self.names.iter().take(SHOWN).map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
        match self.names.len().saturating_sub(SHOWN) {
            0 => listed,
            more => format!("{listed} and {more} more"),
        }
    }

    /// A better guess at the delimiter, where the header is one field that holds another one.
    pub(crate) fn other_delimiter(&self) -> Option<char> {
        let [only] = self.names.as_slice() else { return None };
        [';', '\t', '|', ','].into_iter().find(|d| only.contains(*d))
    }
}

/// Where a canonical column is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Absent,
    Constant(String),
    One(usize),
    Joined(Vec<usize>),
}

impl Field {
    pub(crate) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    /// The columns that it is read from.
    pub(crate) fn columns(&self) -> &[usize] {
        match self {
            Self::Absent | Self::Constant(_) => &[],
            Self::One(at) => std::slice::from_ref(at),
            Self::Joined(places) => places,
        }
    }

    /// The text of the field in `row`; empty where absent.
    pub(crate) fn text<'a>(&'a self, row: &'a StringRecord) -> Cow<'a, str> {
        match self {
            Self::Absent => Cow::Borrowed(""),
            Self::Constant(text) => Cow::Borrowed(text),
            Self::One(at) => Cow::Borrowed(row.get(*at).unwrap_or("")),
            Self::Joined(places) => {
                let parts: Vec<&str> = places.iter().map(|&at| row.get(at).unwrap_or("").trim()).collect();
                // Several empty fields name nothing.
                if parts.iter().all(|p| p.is_empty()) {
                    Cow::Borrowed("")
                } else {
                    Cow::Owned(parts.join("/"))
                }
            }
        }
    }

    /// The site's name of the column, for messages.
    pub(crate) fn column_name(&self, header: &Header, column: Column) -> String {
        match self {
            Self::One(at) => header.name(*at).to_owned(),
            Self::Joined(places) => places.iter().map(|&at| header.name(at)).collect::<Vec<_>>().join("/"),
            Self::Absent | Self::Constant(_) => column.name().to_owned(),
        }
    }
}
