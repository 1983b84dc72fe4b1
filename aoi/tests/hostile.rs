//! Input that is wrong in every way files are wrong: never a panic, and never a silently different answer.
//!
//! Each test says what the file does and what must come of it: an error that names the file, the line and the remedy, or the answer of the
//! good file with the bad row in the rejects file, or a limit that stays.

mod support;

use std::io::Write;

use support::{Bench, HEADER, Row, Said, records, records_and};

const OPTIMISE: &str = "tolerance optimise in.csv --out limits.csv --rejects rejects.csv";

/// Optimises `bytes`.
fn optimise(bytes: impl AsRef<[u8]>) -> (Bench, Said) {
    let bench = Bench::new();
    let said = bench.file("in.csv", bytes).aoi(OPTIMISE);
    assert!(!said.err.contains("panicked"), "{said:?}");
    (bench, said)
}

/// `bytes` must be refused with words that name the file and hold all of `words`, and leave no output behind.
#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, words: &[&str]) {
    let (bench, said) = optimise(bytes);
    assert_eq!(said.code, 1, "{said:?}");
    for word in words.iter().chain(&["in.csv"]) {
        assert!(said.err.contains(word), "{word:?} in {:?}", said.err);
    }
    assert!(!bench.files().iter().any(|f| f == "limits.csv" || f.contains(".part")), "{:?}", bench.files());
}

/// `bytes` must give the limits of the good file; gives the rejects.
#[track_caller]
fn same_answer(bytes: impl AsRef<[u8]>) -> Vec<Row> {
    let (bench, said) = optimise(bytes);
    assert_eq!(said.code, 0, "{said:?}");
    let (good, _) = optimise(records());
    let answer = |b: &Bench| -> Vec<(String, String, String)> {
        let field = |r: &Row, c: &str| r.get(c).to_owned();
        b.table("limits.csv")
            .iter()
            .map(|r| (field(r, "part"), field(r, "new_limit"), field(r, "decision")))
            .collect()
    };
    assert_eq!(answer(&bench), answer(&good));
    bench.table("rejects.csv")
}

/// `bytes` must leave the one limit where it is, blocked; gives the rejects.
#[track_caller]
fn blocked(bytes: impl AsRef<[u8]>) -> Vec<Row> {
    let (bench, said) = optimise(bytes);
    assert_eq!(said.code, 0, "{said:?}");
    let limits = bench.table("limits.csv");
    assert_eq!((limits[0].get("decision"), limits[0].number("new_limit")), ("blocked", 40.0), "{limits:?}");
    bench.table("rejects.csv")
}

#[track_caller]
fn rejected(rejects: &[Row], line: &str, column: &str, word: &str) {
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    let row = &rejects[0];
    assert_eq!((row.get("file"), row.get("row"), row.get("column")), ("in.csv", line, column));
    assert!(row.get("reason").contains(word), "{row:?}");
}

#[test]
fn the_good_file_moves_its_limit() {
    let (bench, said) = optimise(records());
    assert_eq!(said.code, 0, "{said:?}");
    let limits = bench.table("limits.csv");
    assert_eq!((limits.len(), limits[0].get("decision")), (1, "relaxed"));
    // numpy.percentile of 38.0, 38.1 ... 39.9 at 80.
    assert!((limits[0].number("new_limit") - 39.52).abs() < 1e-13);
    assert!(bench.table("rejects.csv").is_empty());
}

#[test]
fn an_empty_file_is_refused() {
    refused("", &["empty", "header"]);
}

#[test]
fn a_file_of_blank_lines_is_refused() {
    refused("\n\n\r\n", &["header"]);
}

#[test]
fn a_header_without_rows_is_refused() {
    refused(format!("{HEADER}\n"), &["in.csv: there is no record in it"]);
}

#[test]
fn a_file_without_header_is_refused_and_told_what_its_first_line_holds() {
    refused("R1,solder,height,39,40,,false_call\n", &["no column \"part\"", "\"R1\"", "mapping"]);
}

#[test]
fn a_wrong_delimiter_is_recognised_and_named() {
    refused(records().replace(',', ";"), &["';'", "file.delimiter"]);
    refused(records().replace(',', "\t"), &["'\\t'", "file.delimiter"]);
}

#[test]
fn a_doubled_column_is_refused() {
    refused(records().replacen("feature", "part", 1), &["\"part\"", "twice"]);
}

#[test]
fn a_missing_value_or_verdict_column_is_refused() {
    refused(records().replacen("value", "wert", 1), &["\"value\"", "mapping"]);
    refused(records().replacen("verdict", "urteil", 1), &["\"verdict\"", "mapping"]);
}

#[test]
fn a_byte_order_mark_is_ignored() {
    assert!(same_answer(format!("\u{feff}{}", records())).is_empty());
}

#[test]
fn a_utf16_file_is_refused_by_name() {
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(records().encode_utf16()).flat_map(u16::to_le_bytes).collect();
    refused(utf16, &["UTF-16", "UTF-8"]);
}

#[test]
fn windows_line_ends_are_read_and_lines_still_counted() {
    assert!(same_answer(records().replace('\n', "\r\n")).is_empty());
    let text = records_and("R1,solder,height,x,40,,false_call\n\nR1,solder,height,y,40,,false_call");
    for text in [text.replace('\n', "\r\n"), text.clone(), text.replace("R1,", "\"R1\",")] {
        let rejects = same_answer(text);
        assert_eq!(rejects.iter().map(|r| r.get("row")).collect::<Vec<_>>(), ["25", "27"]);
    }
}

#[test]
fn a_missing_last_line_end_is_read() {
    assert!(same_answer(records().trim_end()).is_empty());
}

#[test]
fn blank_lines_between_rows_are_skipped_and_lines_still_counted() {
    let text = records().replace("R1,solder,height,31.5", "\n\nR1,solder,height,31.5");
    assert!(same_answer(&text).is_empty());
    let rejects = same_answer(format!("{text}R1,solder,height,x,40,,false_call\n"));
    rejected(&rejects, "27", "value", "not a number");
}

#[test]
fn quoted_newlines_delimiters_and_quotes_stay_inside_their_field() {
    let quoted = |part: &str| records().replace("R1,", &format!("{part},"));
    for part in ["\"R\n1\"", "\"R,1\"", "\"R\"\"1\"", "\"R1\""] {
        let (bench, said) = optimise(quoted(part));
        assert_eq!(said.code, 0, "{said:?}");
        let limits = bench.table("limits.csv");
        let plain = part.trim_matches('"').replace("\"\"", "\"");
        assert_eq!(
            (limits.len(), limits[0].get("part"), limits[0].get("decision")),
            (1, plain.as_str(), "relaxed")
        );
    }
}

#[test]
fn a_quote_inside_an_unquoted_field_is_a_character() {
    let (bench, said) = optimise(records().replace("solder", "5\" disk"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(bench.table("limits.csv")[0].get("inspection"), "5\" disk");
}

#[test]
fn a_quote_that_never_closes_is_refused_because_it_would_swallow_the_rest() {
    refused(records().replacen("R1,solder,height,39.5", "\"R1,solder,height,39.5", 1), &["line 6", "quote"]);
}

#[test]
fn a_field_of_a_million_characters_is_read_or_rejected_but_does_not_hurt() {
    let long = "x".repeat(1_000_000);
    let (bench, said) = optimise(records().replace("R1,", &format!("{long},")));
    assert_eq!((said.code, bench.table("limits.csv")[0].get("part").len()), (0, 1_000_000));
    let rejects = same_answer(records_and(&format!("R1,solder,height,{long},40,,false_call")));
    rejected(&rejects, "25", "value", "not a number");
    assert!(rejects[0].get("value").len() < 200);
}

#[test]
fn a_false_call_that_is_no_finite_number_is_rejected() {
    for (value, word) in [
        ("nan", "finite"),
        ("NaN", "finite"),
        ("inf", "finite"),
        ("-Infinity", "finite"),
        ("1e400", "range"),
        ("1e-400", "range"),
        ("abc", "not a number"),
        ("39.5um", "not a number"),
        ("\"39,5\"", "decimal comma"),
    ] {
        let rejects = same_answer(records_and(&format!("R1,solder,height,{value},40,,false_call")));
        rejected(&rejects, "25", "value", word);
    }
}

#[test]
fn an_empty_value_of_a_false_call_is_rejected() {
    rejected(&same_answer(records_and("R1,solder,height,,40,,false_call")), "25", "value", "empty");
}

#[test]
fn a_defect_without_a_usable_value_blocks_its_limit() {
    for value in ["", "nan", "inf", "1e400", "abc", "\"31,5\""] {
        let rejects = blocked(records_and(&format!("R1,solder,height,{value},40,,defect")));
        rejected(&rejects, "25", "value", "blocks");
    }
}

#[test]
fn a_defect_without_usable_limits_blocks_its_limit() {
    for limits in ["x,", ",", "50,30"] {
        let rejects = blocked(records_and(&format!("R1,solder,height,31,{limits},defect")));
        assert!(rejects[0].get("reason").contains("blocks"), "{limits}: {rejects:?}");
    }
}

#[test]
fn a_defect_row_with_a_torn_end_blocks_every_limit_of_its_part() {
    for row in ["R1,solder,height,31,5,40,,defect", "R1,defect"] {
        let rejects = blocked(records_and(row));
        assert!(rejects[0].get("reason").contains("number of fields"), "{rejects:?}");
    }
}

#[test]
fn an_unreadable_defect_that_was_looked_at_blocks_nothing() {
    let bench = Bench::new();
    bench.file("in.csv", records_and("R1,solder,height,,40,,defect"));
    let said = bench.aoi(&format!("{OPTIMISE} --acknowledge in.csv:25"));
    assert_eq!((said.code, bench.table("limits.csv")[0].get("decision")), (0, "relaxed"));
    let other = bench.aoi(&format!("{OPTIMISE} --acknowledge in.csv:24"));
    assert_eq!((other.code, bench.table("limits.csv")[0].get("decision")), (0, "blocked"));
}

#[test]
fn decimal_commas_are_read_with_a_mapping_and_rejected_without() {
    let commas = records().replace(',', ";").replace('.', ",");
    let bench = Bench::new();
    bench.file("in.csv", &commas).file("map.toml", "[file]\ndelimiter = \";\"\ndecimal_comma = true\n");
    let said = bench.aoi(&format!("{OPTIMISE} --map map.toml"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!((bench.table("limits.csv")[0].number("new_limit") - 39.52).abs() < 1e-13);
    bench.file("map.toml", "[file]\ndelimiter = \";\"\n");
    let said = bench.aoi(&format!("{OPTIMISE} --map map.toml"));
    assert_eq!(said.code, 0, "whole numbers are still read: {said:?}");
    let rejects = bench.table("rejects.csv");
    assert!(rejects.iter().all(|r| r.get("reason").contains("decimal comma")) && rejects.len() > 15);
    assert_eq!(bench.table("limits.csv")[0].get("decision"), "blocked", "one of them is a defect");
}

#[test]
fn swapped_limits_are_rejected() {
    rejected(&same_answer(records_and("R1,solder,height,39.5,45,40,false_call")), "25", "lower", "above");
}

#[test]
fn a_row_without_limits_is_rejected() {
    rejected(&same_answer(records_and("R1,solder,height,39.5,,,false_call")), "25", "lower", "no limit");
}

#[test]
fn limits_that_change_inside_a_key_are_two_limits() {
    let (bench, _) = optimise(records_and("R1,solder,height,39.5,41,,false_call"));
    let limits = bench.table("limits.csv");
    let versions: Vec<_> = limits.iter().map(|r| (r.get("limit_version"), r.get("old_limit"))).collect();
    assert_eq!(versions, [("1", "40"), ("2", "41")]);
}

#[test]
fn a_flagged_value_without_a_known_verdict_blocks_its_limit() {
    let rejects = blocked(records_and("R1,solder,height,39.5,40,,perhaps"));
    rejected(&rejects, "25", "verdict", "unknown verdict");
    assert!(blocked(records_and("R1,solder,height,39.5,40,,")).is_empty());
    assert_eq!(rejects[0].get("value"), "perhaps");
}

#[test]
fn an_unreadable_value_without_a_verdict_counts_as_flagged_and_blocks() {
    rejected(&blocked(records_and("R1,solder,height,abc,40,,")), "25", "value", "not a number");
}

#[test]
fn a_passing_value_without_a_verdict_changes_nothing() {
    assert!(same_answer(records_and("R1,solder,height,41,40,,")).is_empty());
}

#[test]
fn a_repeated_record_counts_once_and_the_severest_verdict_counts() {
    let with_ids = |extra: &str| {
        let id = |i: usize| if i == 0 { "record_id".to_owned() } else { i.to_string() };
        let lines: Vec<String> =
            records().lines().enumerate().map(|(i, l)| format!("{l},{}\n", id(i))).collect();
        lines.concat() + extra
    };
    let rejects = same_answer(with_ids("R1,solder,height,39.5,40,,false_call,5\n"));
    rejected(&rejects, "25", "record_id", "repeats a record id");
    // Record 5 (39.5, a false call) comes again as a defect: it must now hold the limit.
    let (bench, _) = optimise(with_ids("R1,solder,height,39.5,40,,defect,5\n"));
    let limits = bench.table("limits.csv");
    assert_eq!((limits[0].get("false_calls_before"), limits[0].get("defects_before")), ("19", "3"));
    rejected(&bench.table("rejects.csv"), "6", "record_id", "another verdict");
}

#[test]
fn bytes_that_are_not_utf8_are_rejected_and_a_defect_among_them_blocks() {
    let with = |row: &[u8]| [records().as_bytes(), row].concat();
    rejected(&same_answer(with(b"R\xff,solder,height,39.5,40,,false_call\n")), "25", "", "UTF-8");
    rejected(&blocked(with(b"R1,sol\xffder,height,31,40,,defect\n")), "25", "", "UTF-8");
}

#[test]
fn a_header_that_is_not_utf8_is_refused() {
    refused(b"part,val\xffue\n1,2\n", &["UTF-8"]);
}

#[test]
fn nul_bytes_do_not_hurt() {
    rejected(
        &same_answer(records_and("R1,solder,height,39\0,40,,false_call")),
        "25",
        "value",
        "not a number",
    );
}

#[test]
fn a_part_name_cannot_break_the_table_or_the_report() {
    let name = "\"<script>alert(1)</script>,\"\"=cmd|' /C calc'!A0\"";
    let bench = Bench::new();
    let said = bench
        .file("in.csv", records().replace("R1,", &format!("{name},")))
        .aoi(&format!("{OPTIMISE} --report r.html"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(bench.table("limits.csv")[0].get("part"), "<script>alert(1)</script>,\"=cmd|' /C calc'!A0");
    let report = std::fs::read_to_string(bench.path("r.html")).unwrap();
    assert!(!report.contains("<script>alert") && report.contains("alert(1)"));
}

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

#[test]
fn a_machine_or_a_review_that_disagrees_with_the_limits_is_noted_and_the_row_kept() {
    let with_flag = |extra: &str| {
        let flag = |l: &str| {
            if l.starts_with("part") {
                "flagged"
            } else if l.contains(",44,") {
                "0"
            } else {
                "1"
            }
            .to_owned()
        };
        let lines: Vec<String> = records().lines().map(|l| format!("{l},{}\n", flag(l))).collect();
        lines.concat() + extra
    };
    assert!(same_answer(with_flag("")).is_empty());
    rejected(&same_answer(with_flag("R1,solder,height,45,40,,pass,1\n")), "25", "flagged", "differs");
    rejected(
        &same_answer(with_flag("R1,solder,height,45,40,,false_call,0\n")),
        "25",
        "verdict",
        "does not fit",
    );
    // Passed by the machine although outside: neither a false call nor pending, but two things are odd about it.
    let rejects = same_answer(with_flag("R1,solder,height,39,40,,pass,0\n"));
    assert_eq!(rejects.iter().map(|r| r.get("row")).collect::<Vec<_>>(), ["25", "25"]);
}
