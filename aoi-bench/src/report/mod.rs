//! Results as one Markdown file with plots beside it.

mod axes;
mod estimates;
mod growth;
mod ratios;
mod roofline;
#[cfg(test)]
mod samples;
mod tables;
mod targets;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::ceilings::{self, Ceilings};
use crate::error::Error;
use crate::estimates::Estimates;
use crate::record::Record;
use crate::results::read_named;

/// Writes `report.md` and its plots into `out` from every result below `results`.
///
/// # Errors
/// When a result is damaged, there is none, or a file cannot be written.
pub fn write(results: &Path, out: &Path) -> Result<(), Error> {
    let files = render(results)?;
    std::fs::create_dir_all(out).map_err(Error::file(out))?;
    for (name, text) in files {
        let file = out.join(name);
        std::fs::write(&file, text).map_err(Error::file(&file))?;
    }
    Ok(())
}

/// The files in `out` that are not, or are no longer, what [`write()`] would make of the results: changed, missing, or plots of no record.
///
/// # Errors
/// When a result is damaged, there is none, or the folder cannot be read.
pub fn outdated(results: &Path, out: &Path) -> Result<Vec<PathBuf>, Error> {
    let files = render(results)?;
    let mut found: Vec<PathBuf> = files
        .iter()
        .map(|(name, text)| (out.join(name), text))
        .filter(|(file, text)| std::fs::read_to_string(file).ok().as_ref() != Some(text))
        .map(|(file, _)| file)
        .collect();
    for entry in std::fs::read_dir(out).map_err(Error::file(out))? {
        let file = entry.map_err(Error::file(out))?.path();
        let is_plot = file.extension().is_some_and(|kind| kind == "svg");
        if is_plot && !files.iter().any(|(name, _)| file.ends_with(name)) {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

/// Names and contents of the report's files.
fn render(results: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut text = String::from("# Measured\n\nWritten by `aoi-bench report` from the records beside it.\n");
    let mut files = Vec::new();
    let ceilings: Vec<(PathBuf, Ceilings)> = read_named(results, ceilings::FILE)?;
    let found: Vec<(PathBuf, Estimates)> = read_named(results, crate::estimates::FILE)?;
    let records = Record::read_all(results)?;
    if records.is_empty() && ceilings.is_empty() && found.is_empty() {
        return Err(Error::Record { path: results.to_owned(), reason: "holds no results".to_owned() });
    }
    let beside = |folder: Option<&Path>| {
        ceilings.iter().find(|(path, _)| path.parent() == folder).map(|(_, ceilings)| ceilings)
    };
    let mut folders: Vec<&Path> = records.iter().filter_map(|(path, _)| path.parent()).collect();
    folders.dedup();
    for folder in folders {
        let inside: Vec<(&Path, &Record)> = records
            .iter()
            .filter(|(p, _)| p.parent() == Some(folder))
            .map(|(p, r)| (p.as_path(), r))
            .collect();
        let heading = folder.strip_prefix(results).unwrap_or(folder).display().to_string();
        text += &targets::table(&heading, &inside, beside(Some(folder)));
    }
    for (_, ceilings) in &ceilings {
        text += &tables::ceilings(ceilings);
    }
    let mut add = |text: &mut String, path: &Path, title: &str, name: &str, plot: String| {
        let stem = path.strip_prefix(results).unwrap_or(path).with_extension("");
        let words: Vec<_> = stem.iter().map(|part| part.to_string_lossy()).collect();
        let name = format!("{}-{name}.svg", words.join("-"));
        let _ = write!(text, "\n![{title}]({name})\n");
        files.push((name, plot));
    };
    let growth = |what: &str| format!("Seconds against size: {what}");
    for (path, record) in &records {
        text += &tables::record(path.strip_prefix(results).unwrap_or(path), record);
        if let Some(plot) = ratios::plot(record) {
            add(&mut text, path, "Ratios of times", "ratios", plot);
        }
        for (work, plot) in growth::plots(record) {
            add(&mut text, path, &growth(&work), &work, plot);
        }
        if let Some(plot) = beside(path.parent()).and_then(|c| roofline::plot(record, c)) {
            add(&mut text, path, "Roofline", "roofline", plot);
        }
    }
    for (path, found) in &found {
        text += &estimates::tables(path.strip_prefix(results).unwrap_or(path), found);
        for (group, plot) in estimates::plots(found) {
            add(&mut text, path, &growth(&group), &group, plot);
        }
    }
    files.push(("report.md".to_owned(), text));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_results_and_a_damaged_record_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), folder.path()).unwrap_err().to_string();
        assert!(error.contains("no results"), "{error}");
        std::fs::write(folder.path().join("tolerance.json"), "{}").unwrap();
        assert!(matches!(write(folder.path(), folder.path()), Err(Error::Record { .. })));
    }

    #[test]
    fn the_recorded_results_make_a_report_that_is_outdated_when_anything_changes() {
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        write(&results, out).unwrap();
        let report = out.join("report.md");
        let text = std::fs::read_to_string(&report).unwrap();
        assert!(text.contains("| aoi"));
        assert_eq!(outdated(&results, out).unwrap(), Vec::<PathBuf>::new());

        std::fs::write(&report, text.replacen('1', "2", 1)).unwrap();
        let stray = out.join("stray.svg");
        std::fs::write(&stray, "<svg/>").unwrap();
        let plot = text.split("](").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
        std::fs::remove_file(out.join(plot)).unwrap();
        let mut expected = [report, stray, out.join(plot)];
        expected.sort();
        assert_eq!(outdated(&results, out).unwrap(), expected);
    }
}
