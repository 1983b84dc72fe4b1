//! Headers, delimiters, encodings, line ends, quotes and bytes that do not belong.

use super::support::{Bench, HEADER, records, records_and};
use super::{OPTIMISE, blocked, optimise, refused, rejected, same_answer};

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
