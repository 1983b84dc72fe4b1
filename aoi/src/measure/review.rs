//! What reviewers said, and the reading of small tables.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, Result};

/// Verdicts by picture, class and instance.
///
/// `false_call` holds for the values that lie outside their limits, the others pass; every other verdict holds for all values of the instance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReviewTable {
    verdicts: BTreeMap<[String; 3], String>,
}

impl ReviewTable {
    /// Reads a CSV with the columns `image, class, instance, verdict`; an empty instance speaks for the count of the class.
    ///
    /// # Errors
    /// When the file cannot be read, a column is missing, a verdict is empty, or an instance stands there twice.
    pub fn read(path: &Path) -> Result<Self> {
        let mut verdicts = BTreeMap::new();
        for (line, [image, class, instance, verdict]) in
            table(path, ["image", "class", "instance", "verdict"])?.rows
        {
            let bad = |expected: &str, found: String| Error::Row {
                path: path.to_owned(),
                line,
                expected: expected.to_owned(),
                found,
            };
            if verdict.is_empty() {
                return Err(bad("a verdict", "nothing".to_owned()));
            }
            let named = format!("{image} {class} {instance}");
            if verdicts.insert([image, class, instance], verdict).is_some() {
                return Err(bad("every instance once", named));
            }
        }
        Ok(Self { verdicts })
    }

    /// The word to write beside a value of an instance.
    pub(super) fn verdict(&self, image: &str, class: &str, instance: &str, outside: bool) -> &str {
        let key = [image, class, instance].map(str::to_owned);
        match self.verdicts.get(&key).map_or("", String::as_str) {
            "false_call" if !outside => "pass",
            word => word,
        }
    }
}

/// The rows of a small CSV table: line and trimmed fields.
pub(super) struct Table<const N: usize> {
    pub(super) rows: Vec<(u64, [String; N])>,
}

/// Reads the columns called `names`, wherever they stand; others are ignored.
pub(super) fn table<const N: usize>(path: &Path, names: [&str; N]) -> Result<Table<N>> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut reader = csv::Reader::from_reader(file);
    let bad = |e: &csv::Error| Error::Row {
        path: path.to_owned(),
        line: e.position().map_or(1, csv::Position::line),
        expected: "a CSV table with a header".to_owned(),
        found: e.to_string(),
    };
    let header = reader.headers().map_err(|e| bad(&e))?.clone();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let found = header.iter().position(|h| h.trim().trim_start_matches('\u{feff}') == name);
        *place = found.ok_or_else(|| Error::Row {
            path: path.to_owned(),
            line: 1,
            expected: format!("the columns {}", names.join(", ")),
            found: header.iter().collect::<Vec<_>>().join(", "),
        })?;
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad(&e))?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, places.map(|i| record.get(i).unwrap_or("").trim().to_owned())));
    }
    Ok(Table { rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{NominalTable, Parts};

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_false_call_passes_inside_its_limits_and_a_defect_does_not() {
        let table = file("image,class,instance,verdict\na,ball,B1,false_call\na,ball,B2,defect\n");
        let review = ReviewTable::read(table.path()).unwrap();
        assert_eq!(review.verdict("a", "ball", "B1", true), "false_call");
        assert_eq!(review.verdict("a", "ball", "B1", false), "pass");
        assert_eq!(review.verdict("a", "ball", "B2", false), "defect");
        assert_eq!(review.verdict("a", "ball", "B3", true), "");
    }

    #[test]
    fn the_examples_in_the_formats_folder_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats");
        let nominal = NominalTable::read(&folder.join("nominal.example.csv")).unwrap();
        assert_eq!(nominal.of("SIDE4").unwrap().len(), 3);
        assert!(nominal.of("SIDE5").unwrap_err().to_string().contains("SIDE4"));
        let parts = Parts::read(&folder.join("parts.example.csv")).unwrap();
        assert_eq!(parts.of("board-0001").unwrap(), "SIDE4");
        assert!(parts.of("board-0009").is_err());
        assert!(ReviewTable::read(&folder.join("review.example.csv")).is_ok());
    }

    #[test]
    fn the_schemas_name_the_columns_that_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats");
        for (name, columns) in [
            ("nominal", &["part", "class", "instance", "x_um", "y_um", "gate_um"][..]),
            ("parts", &["image", "part"]),
            ("review", &["image", "class", "instance", "verdict"]),
        ] {
            let text = std::fs::read_to_string(folder.join(format!("{name}.schema.json"))).unwrap();
            let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
            let required: Vec<&str> =
                schema["required"].as_array().unwrap().iter().filter_map(|v| v.as_str()).collect();
            assert_eq!(required, columns, "{name}");
        }
    }

    #[test]
    fn tables_that_cannot_be_trusted_are_refused_with_their_line() {
        let head = "part,class,instance,x_um,y_um,gate_um\n";
        for (rows, word) in [
            ("P,ball,B1,1,2,3\nP,ball,B1,4,5,6\n", "line 3"),
            ("P,ball,B1,1,nan,3\n", "line 2"),
            ("P,ball,B1,1,,3\n", "finite"),
            ("P,ball,B1,1,2,0\n", "above 0"),
            ("P,ball,#1,1,2,3\n", "#"),
            ("P,,B1,1,2,3\n", "class"),
            ("P,ball,B1,1,2\n", "line"),
            ("", "at least one"),
        ] {
            let table = file(&format!("{head}{rows}"));
            let error = NominalTable::read(table.path()).unwrap_err().to_string();
            assert!(error.contains(word), "{rows:?}: {error}");
        }
        let table = file("part,class,instance,x,y,gate_um\n");
        assert!(NominalTable::read(table.path()).unwrap_err().to_string().contains("x_um"));
        assert!(
            Parts::read(file("image,part\na,P\na,Q\n").path()).unwrap_err().to_string().contains("line 3")
        );
        for text in
            ["image,class,instance,verdict\na,b,c,\n", "image,class,instance,verdict\na,b,c,d\na,b,c,d\n"]
        {
            assert!(ReviewTable::read(file(text).path()).is_err(), "{text}");
        }
    }
}
