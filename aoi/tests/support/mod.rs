//! Runs the command in a folder of its own.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary folder in which commands run.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path(name), bytes).expect("a writable folder");
        self
    }

    /// Runs `aoi` with these words.
    pub(crate) fn aoi(&self, words: &str) -> Said {
        self.aoi_with(words, b"")
    }

    /// Runs `aoi` with these words and this standard input.
    pub(crate) fn aoi_with(&self, words: &str, input: &[u8]) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_aoi"))
            .args(words.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // The command may stop reading before the end.
            let _ = std::io::Write::write_all(&mut stdin, &input);
        });
        let Output { status, stdout, stderr } = child.wait_with_output().expect("the command ends");
        writer.join().expect("the writer ends");
        Said {
            code: status.code().expect("no signal"),
            out: String::from_utf8(stdout).expect("UTF-8"),
            err: String::from_utf8(stderr).expect("UTF-8"),
        }
    }

    /// A table that the command wrote: its rows as (column, field) pairs.
    pub(crate) fn table(&self, name: &str) -> Vec<Row> {
        read_table(&self.path(name))
    }

    /// Files in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row(Vec<(String, String)>);

impl Row {
    pub(crate) fn get(&self, column: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| name == column);
        &found.unwrap_or_else(|| panic!("no column {column} in {self:?}")).1
    }

    pub(crate) fn number(&self, column: &str) -> f64 {
        self.get(column).parse().unwrap_or_else(|_| panic!("{column} of {self:?} is a number"))
    }
}

fn read_table(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).expect("a table");
    let names: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    reader
        .records()
        .map(|r| {
            let r = r.expect("a row");
            Row(names.iter().cloned().zip(r.iter().map(str::to_owned)).collect())
        })
        .collect()
}

pub(crate) const HEADER: &str = "part,inspection,feature,value,lower,upper,verdict";

/// A good file: twenty false calls 39.9 ... 38.0 and two defects under a lower limit of 40.
pub(crate) fn records() -> String {
    let false_call = |i| format!("R1,solder,height,{:.1},40,,false_call\n", 40.0 - 0.1 * f64::from(i));
    let others =
        "R1,solder,height,31.5,40,,defect\nR1,solder,height,20,40,,defect\nR1,solder,height,44,40,,pass\n";
    let false_calls: Vec<String> = (1..=20).map(false_call).collect();
    format!("{HEADER}\n{}{others}", false_calls.concat())
}

/// [`records`] with one more row.
pub(crate) fn records_and(row: &str) -> String {
    format!("{}{row}\n", records())
}
