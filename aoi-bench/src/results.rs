//! Files below a folder of results.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::Error;

/// Every `*.json` below a folder, sorted by path.
///
/// # Errors
/// When a folder cannot be listed.
pub(crate) fn json_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Error::file(&folder))? {
            let path = entry.map_err(Error::file(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Every file of this name below a folder, sorted by path.
///
/// # Errors
/// When one cannot be read, or is not what the name promises.
pub(crate) fn read_named<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<(PathBuf, T)>, Error> {
    let named = json_files(folder)?.into_iter().filter(|path| path.ends_with(name));
    named.map(|path| read(&path).map(|value| (path, value))).collect()
}

/// One file.
///
/// # Errors
/// When it cannot be read, or is something else.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    serde_json::from_str(&text).map_err(|e| Error::Record { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_at_any_depth_in_order_and_damaged_ones_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("b/c")).unwrap();
        for (name, text) in [("b/c/one.json", "1"), ("a.json", "2"), ("b/one.json", "3"), ("b/note.md", "")] {
            std::fs::write(at(name), text).unwrap();
        }
        assert_eq!(json_files(folder.path()).unwrap(), ["a.json", "b/c/one.json", "b/one.json"].map(at));
        let found: Vec<(PathBuf, u8)> = read_named(folder.path(), "one.json").unwrap();
        assert_eq!(found, [(at("b/c/one.json"), 1), (at("b/one.json"), 3)]);
        std::fs::write(at("b/one.json"), "{").unwrap();
        let error = read_named::<u8>(folder.path(), "one.json").unwrap_err().to_string();
        assert!(error.contains("b/one.json"), "{error}");
        assert!(json_files(&at("none")).is_err());
    }
}
