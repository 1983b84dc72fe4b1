//! Names of classes, which name files: one check, wherever they come from.

use std::collections::HashSet;
use std::path::Path;

use crate::{Error, Result};

/// Refuses classes whose masks could not be written side by side, one file a class, in a folder of their own.
///
/// # Errors
/// When there is no class, or one has an empty name, a path or a control character in it, or the name of another.
pub fn check_classes(classes: &[String]) -> Result<()> {
    if classes.is_empty() || classes.len() > usize::from(u16::MAX) {
        return Err(Error::option("classes", "1 to 65535 names", classes.len()));
    }
    let mut known = HashSet::new();
    for class in classes {
        let other = |c: char| c.is_control() || ['/', '\\', ':'].contains(&c);
        if class.is_empty() || class.starts_with('.') || class.contains(other) {
            return Err(Error::option("class", "a name that can name a file", format!("{class:?}")));
        }
        if !known.insert(class) {
            return Err(Error::option("classes", "different names", format!("{class:?} twice")));
        }
    }
    Ok(())
}

/// As [`check_classes`], for the names that a bank or a network brings along.
///
/// # Errors
/// One that names the file.
pub fn check_classes_of(path: &Path, classes: &[String]) -> Result<()> {
    check_classes(classes).map_err(|e| match e {
        Error::Option { option, expected, found } => {
            let remedy = "take a file from where you trust, or make it again with other --classes";
            Error::file(path, format!("as {option} {expected}"), found, remedy)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_name_a_file_are_refused_and_others_taken() {
        for bad in
            ["../../x", "/abs", "", "a/b", "..", ".", ".hidden", "a\\b", "c:x", "a\0b", "a\nb", "\u{1b}[2J"]
        {
            let message = check_classes(&["wire".into(), bad.into()]).unwrap_err().to_string();
            assert!(message.contains(&format!("{bad:?}")), "{message}");
        }
        check_classes(&["wire".into(), "solder ball, Ø 20".into(), "v1.2".into()]).unwrap();
    }

    #[test]
    fn no_class_too_many_and_one_twice_are_refused() {
        assert!(check_classes(&[]).is_err());
        assert!(check_classes(&["a".into(), "b".into(), "a".into()]).is_err());
        let many: Vec<String> = (0..65_536).map(|i| i.to_string()).collect();
        check_classes(&many[1..]).unwrap();
        assert!(check_classes(&many).is_err());
    }

    #[test]
    fn a_file_that_brings_such_a_name_is_named() {
        let error = check_classes_of("run/network.safetensors".as_ref(), &["../../x".into()]).unwrap_err();
        assert!(!error.is_usage(), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("run/network.safetensors") && message.contains("../../x"), "{message}");
    }
}
