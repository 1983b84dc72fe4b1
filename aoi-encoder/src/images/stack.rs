//! Which files of a folder make up one picture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis, concatenate};

use super::decode;
use crate::{Error, Result};

/// Endings of image files, in lower case.
const ENDINGS: [&str; 6] = ["png", "tif", "tiff", "bmp", "jpg", "jpeg"];

/// The files of one picture, one a lighting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The common name, without ending and without `_buffer0`.
    pub name: String,
    /// One file, or the lightings in order.
    pub files: Vec<PathBuf>,
}

/// The pictures of a folder in the order of their names: `NAME.png`, or the lightings `NAME_buffer0.png`, `NAME_buffer1.png` ...
///
/// Files with other endings, hidden files and folders are passed over.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be read; [`Error::Format`] when it holds no picture, when a lighting is missing, or when one
/// picture has two files.
pub fn list(folder: &Path) -> Result<Vec<Stack>> {
    let bad = |found: String| Error::Format {
        path: folder.to_owned(),
        expected: "a folder of NAME.png or NAME_buffer0.png, NAME_buffer1.png ...",
        found,
    };
    let mut groups: BTreeMap<String, BTreeMap<Option<usize>, PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
        if !ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) || path.is_dir() {
            continue;
        }
        let Some(stem) = path.file_stem().and_then(|s| s.to_str()) else {
            return Err(bad(format!("the name {} is not UTF-8", path.display())));
        };
        if stem.starts_with('.') {
            continue;
        }
        let (name, buffer) = match stem.rsplit_once("_buffer").map(|(name, n)| (name, n.parse::<usize>())) {
            Some((name, Ok(buffer))) => (name.to_owned(), Some(buffer)),
            _ => (stem.to_owned(), None),
        };
        if let Some(other) = groups.entry(name).or_default().insert(buffer, path.clone()) {
            return Err(bad(format!("both {} and {}", other.display(), path.display())));
        }
    }
    let stack = |(name, files): (String, BTreeMap<Option<usize>, PathBuf>)| {
        let numbers: Vec<Option<usize>> = files.keys().copied().collect();
        let complete = numbers == [None] || numbers.iter().enumerate().all(|(i, n)| *n == Some(i));
        if complete {
            Ok(Stack { name, files: files.into_values().collect() })
        } else {
            Err(bad(format!("{name} with the lightings {numbers:?}, not 0, 1, 2 ...")))
        }
    };
    let stacks = groups.into_iter().map(stack).collect::<Result<Vec<_>>>()?;
    if stacks.is_empty() { Err(bad("no such file".to_owned())) } else { Ok(stacks) }
}

impl Stack {
    /// The picture, the files' channels one after the other.
    ///
    /// # Shapes
    /// -> \[c, height, width\]
    ///
    /// # Errors
    /// As [`decode()`]; [`Error::Shape`] when the lightings differ in size.
    pub fn read(&self) -> Result<Array3<f32>> {
        let planes = self.files.iter().map(|f| decode(f)).collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = planes.iter().map(|p| p.view()).collect();
        concatenate(Axis(0), &views).map_err(|_| {
            let first = views[0].shape();
            let other = views.iter().find(|v| v.shape()[1..] != first[1..]).unwrap_or(&views[0]);
            Error::Shape {
                what: "a lighting of a stack",
                expected: format!("{} x {} pixels like the first of {}", first[1], first[2], self.name),
                found: other.shape().to_vec(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma};
    use tempfile::TempDir;

    fn folder(names: &[(&str, u8)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, value) in names {
            ImageBuffer::from_pixel(4, 2, Luma([*value])).save(folder.path().join(name)).unwrap();
        }
        folder
    }

    #[test]
    fn pictures_come_by_name_and_lightings_by_number() {
        let folder =
            folder(&[("b.png", 1), ("a_buffer1.png", 20), ("a_buffer0.png", 10), ("c_buffery.bmp", 3)]);
        std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
        std::fs::create_dir(folder.path().join("d.png")).unwrap();
        let stacks = list(folder.path()).unwrap();
        let names: Vec<(&str, usize)> = stacks.iter().map(|s| (s.name.as_str(), s.files.len())).collect();
        assert_eq!(names, [("a", 2), ("b", 1), ("c_buffery", 1)]);
        let picture = stacks[0].read().unwrap();
        assert_eq!(picture.dim(), (2, 2, 4));
        assert_eq!((picture[[0, 0, 0]], picture[[1, 0, 0]]), (10.0 / 255.0, 20.0 / 255.0));
    }

    #[test]
    fn ten_and_more_lightings_are_ordered_by_number_not_by_letter() {
        let names: Vec<String> = (0..12).map(|i| format!("a_buffer{i}.png")).collect();
        let named: Vec<(&str, u8)> = names.iter().map(String::as_str).zip(0..).collect();
        let picture = list(folder(&named).path()).unwrap().remove(0);
        assert!(picture.files[10].ends_with("a_buffer10.png"));
    }

    #[test]
    fn missing_and_doubled_files_are_refused() {
        for (names, said) in [
            (&[("a_buffer0.png", 1), ("a_buffer2.png", 1)][..], "lightings"),
            (&[("a_buffer1.png", 1)], "lightings"),
            (&[("a.png", 1), ("a_buffer0.png", 1)], "lightings"),
            (&[("a.png", 1), ("a.bmp", 1)], "both"),
            (&[], "no such file"),
        ] {
            let message = list(folder(names).path()).unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
        assert!(matches!(list(Path::new("no/such/folder")), Err(Error::Io { .. })));
    }

    #[test]
    fn lightings_of_different_sizes_are_refused() {
        let folder = folder(&[("a_buffer0.png", 1)]);
        ImageBuffer::from_pixel(4, 3, Luma([1_u8])).save(folder.path().join("a_buffer1.png")).unwrap();
        let error = list(folder.path()).unwrap()[0].read().unwrap_err();
        assert!(error.to_string().contains("2 x 4 pixels like the first of a"), "{error}");
    }
}
