//! Files that are damaged, missing or do not go together.

use std::io::Write;

use super::support::{Bench, records};
use super::{OPTIMISE, refused, same_answer};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_files_give_the_same_answer() {
    assert!(same_answer(gzip(&records())).is_empty());
    assert!(same_answer(zstd::encode_all(records().as_bytes(), 3).unwrap()).is_empty());
    // Two gzip members in a row are one file, as `cat a.gz b.gz` makes it.
    let text = records();
    let (first, second) = text.split_at(200);
    assert!(same_answer([gzip(first), gzip(second)].concat()).is_empty());
}

#[test]
fn truncated_compressed_files_are_refused() {
    let many = format!("{}{}", records(), records().lines().skip(1).collect::<Vec<_>>().join("\n"));
    for whole in [gzip(&many), zstd::encode_all(many.as_bytes(), 3).unwrap()] {
        for end in [whole.len() - 1, whole.len() / 2] {
            refused(&whole[..end], &["cannot be read"]);
        }
    }
}

#[test]
fn a_corrupt_compressed_file_is_refused() {
    let mut bytes = gzip(&records());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    refused(bytes, &["cannot be read"]);
}

#[test]
fn a_folder_or_a_missing_file_is_refused() {
    let bench = Bench::new();
    for (input, word) in [(".", "folder"), ("nothing.csv", "cannot be read")] {
        let said = bench.aoi(&format!("tolerance optimise {input} --out limits.csv"));
        assert_eq!(said.code, 1);
        assert!(said.err.contains(word) && said.err.contains(input), "{}", said.err);
    }
    assert!(bench.files().is_empty());
}

#[test]
fn a_mapping_that_does_not_fit_is_refused_and_named() {
    for (mapping, word) in [
        ("[columns]\npart = \"Nummer\"", "Nummer"),
        ("[columns]\nprat = \"part\"", "prat"),
        ("nonsense", "map.toml"),
        ("[[verdict.rules]]\nwhen = { Repair = \"x\" }\nverdict = \"defect\"", "Repair"),
        ("[file]\ntime_offset = \"noon\"", "time_offset"),
    ] {
        let bench = Bench::new();
        let said = bench
            .file("in.csv", records())
            .file("map.toml", mapping)
            .aoi(&format!("{OPTIMISE} --map map.toml"));
        assert_eq!(said.code, 1, "{mapping}: {said:?}");
        assert!(said.err.contains(word), "{mapping}: {}", said.err);
    }
}

#[test]
fn a_wrong_tolerance_table_is_refused_because_it_decides_about_every_record() {
    for (table, word) in [
        ("", "header"),
        ("part,lower\nR1,x\n", "line 2"),
        ("part,lower\nR1,40\nR1,41\n", "line 3"),
        ("lower\n40\n", "part"),
        ("part,lower\nR1,40,50\n", "line"),
    ] {
        let bench = Bench::new();
        let said = bench
            .file("in.csv", records())
            .file("limits_in.csv", table)
            .aoi(&format!("{OPTIMISE} --limits limits_in.csv"));
        assert_eq!(said.code, 1, "{table:?}: {said:?}");
        assert!(said.err.contains(word) && said.err.contains("limits_in.csv"), "{table:?}: {}", said.err);
    }
}
