//! The report says what the proposals say, whatever the names and numbers are, and asks nobody for anything.
#![cfg(feature = "report")]

use std::fmt::Write as _;

use aoi_tolerance::collect::Collector;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::joint::optimise_joint;
use aoi_tolerance::limit::Tolerance;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::population::{Limit, Population};
use aoi_tolerance::proposal::{Decision, Proposal};
use aoi_tolerance::record::{Record, Source, Verdict};
use aoi_tolerance::report::{InputFile, ReportContext, ReportError, write_report};
use aoi_tolerance::simulate::simulate;

/// Pushes one value of `part` against a lower limit.
fn push(collector: &mut Collector, part: &str, lower: f64, value: f64, verdict: Option<Verdict>) {
    collector.push(&Record {
        key: [part, "model", "", "solder", "height", "um"],
        value,
        tolerance: Tolerance { lower: Some(lower), upper: None },
        verdict,
        source: Source { file: 0, line: 7 },
        ..Record::default()
    });
}

/// A limit at 40 with `n` false calls just below it and three defects far below.
fn ordinary(collector: &mut Collector, part: &str, n: u32) {
    for i in 0..n {
        push(collector, part, 40.0, 39.9 - 0.01 * f64::from(i), Some(Verdict::FalseCall));
    }
    for defect in [20.0, 21.5, 22.0] {
        push(collector, part, 40.0, defect, Some(Verdict::Defect));
    }
}

fn propose(population: &Population, options: &Options) -> Vec<Proposal> {
    let evidence: Vec<Evidence> = population.limits.iter().map(Limit::evidence).collect();
    optimise(&evidence, options).unwrap()
}

fn render(population: &Population, proposals: &[Proposal], context: &ReportContext) -> String {
    let mut page = Vec::new();
    write_report(&mut page, population, proposals, context).unwrap();
    String::from_utf8(page).unwrap()
}

fn page_of(population: &Population, options: Options) -> String {
    let context = ReportContext { options, ..ReportContext::default() };
    render(population, &propose(population, &context.options), &context)
}

/// Every kind of limit: moved, guarded, kept, blocked twice, tightened.
fn mixed(names: [&str; 6]) -> Population {
    let mut c = Collector::default();
    ordinary(&mut c, names[0], 500);
    ordinary(&mut c, names[1], 60);
    push(&mut c, names[1], 40.0, 39.85, Some(Verdict::Defect));
    ordinary(&mut c, names[2], 3);
    ordinary(&mut c, names[3], 30);
    push(&mut c, names[3], 40.0, 39.0, None);
    ordinary(&mut c, names[4], 30);
    push(&mut c, names[4], 40.0, f64::NAN, Some(Verdict::Defect));
    ordinary(&mut c, names[5], 30);
    push(&mut c, names[5], 40.0, 41.5, Some(Verdict::Escape));
    c.finish()
}

const PLAIN: [&str; 6] = ["A-plain", "B-plain", "C-plain", "D-plain", "E-plain", "F-plain"];

/// The page's tags in order, attributes and text left out; panics where they are not well nested.
///
/// Reads the page as a browser's tokenizer would where it matters here: a `<` outside `<style>` opens a tag, and a quote holds a `>` back.
fn tags(page: &str) -> Vec<String> {
    let (mut tags, mut open) = (Vec::new(), Vec::<String>::new());
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let mut quoted = false;
        let end = rest
            .find(|c| {
                quoted ^= c == '"';
                c == '>' && !quoted
            })
            .expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        let name: String = tag.chars().take_while(|c| !c.is_whitespace()).collect();
        let name = name.trim_end_matches('/').to_owned();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "closed in the order of opening");
        } else if !tag.ends_with('/') && !["!doctype", "meta", "link"].contains(&name.as_str()) {
            open.push(name.clone());
        }
        if name == "style" {
            rest = &rest[rest.find("</style>").expect("the style ends")..];
        }
        tags.push(name);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    tags
}

/// The text of every cell of every row in the table whose caption starts with `caption`.
fn rows(page: &str, caption: &str) -> Vec<Vec<String>> {
    let table = &page[page.find(&format!("<caption>{caption}")).expect("the caption is there")..];
    let body = &table[table.find("<tbody>").unwrap()..table.find("</tbody>").unwrap()];
    let cells = |row: &str| {
        let ends = row.replace("</th>", "\u{1}").replace("</td>", "\u{1}");
        let mut text = String::new();
        let mut inside = false;
        for c in ends.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                _ if !inside => text.push(c),
                _ => {}
            }
        }
        let mut cells: Vec<String> = text.split('\u{1}').map(|c| c.trim().to_owned()).collect();
        cells.pop();
        cells
    };
    body.split("</tr>").filter(|row| row.contains("<tr")).map(cells).collect()
}

/// `count` with commas, written without the report's own code.
fn commas(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
    groups.join(",")
}

#[test]
fn limits_chosen_together_claim_no_bound_and_say_so() {
    let population = mixed(PLAIN);
    let context = ReportContext::default();
    let joint = optimise_joint(&population, &context.options).unwrap();
    assert!(joint.proposals.iter().any(|p| p.moves() && p.defects_before > 0));
    let page = render(&population, &joint.proposals, &context);
    assert!(
        page.contains("The limits were chosen together") && !page.contains("without one confirmed defect")
    );
}

#[test]
fn hostile_names_change_no_tag_of_the_page() {
    let long = format!("F{}", "W".repeat(5000));
    let hostile = [
        "A<script>alert(1)</script>",
        "B\"><img src=x onerror='alert(1)'>",
        "C&amp;&lt;b&gt;</title></text></svg><svg onload=alert(1)>",
        "D\u{1f600}\u{1f468}\u{200d}\u{1f469} \u{5e8}\u{5db}\u{5d9}\u{5d1} \u{202e}gnp.exe\u{0}\u{1b}[31m",
        "E--></style><style>*{display:none}</style>{{ title }}{% raw %}",
        &long,
    ];
    let page = |names: [&str; 6], text: &str| {
        let population = mixed(names);
        let context = ReportContext {
            title: text.to_owned(),
            inputs: vec![InputFile { name: text.to_owned(), sha256: text.to_owned(), rows: 3 }],
            software: text.to_owned(),
            created: text.to_owned(),
            warnings: vec![text.to_owned()],
            rejected: vec![(text.to_owned(), 2)],
            ..ReportContext::default()
        };
        render(&population, &propose(&population, &context.options), &context)
    };
    let bad = page(hostile, "\"'><script>alert(1)</script><!-- \u{202e}");
    assert_eq!(tags(&bad), tags(&page(PLAIN, "plain")));
    for forbidden in ["<script", "<img", "<!--", "onload=alert(1)>", "\u{202e}", "\u{0}", "\u{1b}"] {
        assert!(!bad.contains(forbidden), "{forbidden:?}");
    }
    assert!(bad.contains("A&#60;script&#62;alert(1)&#60;/script&#62;") && bad.contains("\u{1f600}"));
    // The name is whole where there is room and cut where it is drawn.
    assert!(bad.contains(&long) && bad.contains("\u{2026}</text>"));
}

#[test]
fn the_tag_reader_sees_an_injected_tag() {
    assert_ne!(tags("<p>a<b>x</b></p>"), tags("<p>a</p>"));
    assert!(std::panic::catch_unwind(|| tags("<p><b></p>")).is_err());
}

#[test]
fn no_template_switches_escaping_off() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        assert!(!squeezed.contains("|safe") && !squeezed.contains("|escape("), "{text}");
        read += 1;
    }
    assert!(read > 5);
}

#[test]
fn the_page_refers_to_nothing_outside_itself() {
    let page = page_of(&mixed(PLAIN), Options::default());
    for attribute in ["href=\"", "src=\"", "url("] {
        for (at, _) in page.match_indices(attribute) {
            let target = &page[at + attribute.len()..];
            assert!(target.starts_with('#') || target.starts_with("data:,"), "{:?}", &page[at..at + 40]);
        }
    }
    for forbidden in ["http:", "https:", "@import", "<script", "javascript:", " on"] {
        let found = page.match_indices(forbidden).find(|(at, _)| {
            // " on" begins words of prose too; only an attribute has an equals sign after it.
            forbidden != " on" || page[at + 3..].chars().find(|c| !c.is_ascii_lowercase()) == Some('=')
        });
        assert_eq!(found, None);
    }
    assert!(page.contains("default-src 'none'") && page.contains("href=\"data:,\""));
}

#[test]
fn the_same_input_gives_the_same_bytes_on_any_number_of_threads() {
    let population = mixed(PLAIN);
    let page = page_of(&population, Options::default());
    assert_eq!(page, page_of(&population, Options::default()));
    assert_eq!(page, page_of(&population, Options { threads: 4, ..Options::default() }));
}

#[test]
fn all_sections_are_there_in_order_and_what_is_urgent_comes_first() {
    let page = page_of(&mixed(PLAIN), Options::default());
    let ids = ["first", "summary", "what-if", "parts", "limits", "charts", "proof", "guide"];
    let places: Vec<usize> =
        ids.iter().map(|id| page.find(&format!("<section id=\"{id}\"")).unwrap()).collect();
    assert!(places.is_sorted());
    assert_eq!(rows(&page, "Escaped defects").len(), 1);
    assert_eq!(rows(&page, "Blocked limits").len(), 2);
    let charts = page.matches("<figure class=\"chart\">").count();
    assert_eq!(charts, 5, "three urgent limits and two that move");
    for assumption in aoi_tolerance::certificate::ASSUMPTIONS {
        assert!(page.contains(&assumption.replace('\'', "&#39;")), "{assumption}");
    }
    assert!(page.contains("not for all limits at once"));
    assert!(!page.to_lowercase().contains("recall"), "a count of known defects is no recall");
}

#[test]
fn table_one_repeats_the_proposals() {
    let population = mixed(PLAIN);
    let options = Options::default();
    let proposals = propose(&population, &options);
    let mut moved: Vec<_> = population.limits.iter().zip(&proposals).filter(|(_, p)| p.moves()).collect();
    moved.sort_by_key(|(_, p)| std::cmp::Reverse(p.false_calls_before - p.false_calls_after));
    let rows = rows(&page_of(&population, options), "Table I.");
    assert_eq!(rows.len(), moved.len());
    assert_eq!(moved.iter().filter(|(_, p)| p.decision == Decision::Guarded).count(), 1);
    for (row, (limit, p)) in rows.iter().zip(moved) {
        let first = |i: usize| row[i].split([' ', '*', '\u{a0}']).next().unwrap();
        assert!(row[0].starts_with(&limit.id.key.part));
        assert_eq!(first(2).parse(), Ok(p.old_limit));
        assert_eq!((&row[3], &row[4]), (&commas(p.false_calls_before), &commas(p.defects_before)));
        assert_eq!(first(5).parse(), Ok(p.new_limit));
        assert_eq!((&row[6], &row[7]), (&commas(p.false_calls_after), &commas(p.defects_after)));
        assert!(row[9].contains(&p.decision.to_string()) && row[9].contains(&p.reason.to_string()));
        let bound: f64 = row[10].trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let exact = 100.0 * p.certificate.bound.value().unwrap();
        assert!(bound >= exact && bound <= exact * 1.01, "{bound} for {exact}: rounded up, and not far");
        assert_eq!(row[11], commas(p.certificate.defects));
    }
}

#[test]
fn the_what_if_tables_repeat_the_sweep() {
    let population = mixed(PLAIN);
    let options = Options { percentile: 82.5, ..Options::default() };
    let page = page_of(&population, options.clone());
    let evidence: Vec<Evidence> = population.limits.iter().map(Limit::evidence).collect();
    let mut asked = vec![75.0, 80.0, 82.5, 85.0, 90.0];
    let mut expected = vec![];
    simulate(&evidence, &asked, &options, |w| {
        let t = w.totals();
        let mut text = commas(t.false_calls_after);
        write!(text, "|{} of {}", commas(t.defects_after), commas(t.defects_before)).unwrap();
        expected.push(text);
        Ok(())
    })
    .unwrap();
    let table = rows(&page, "Table II.");
    let shown: Vec<String> = table[1..].iter().map(|r| format!("{}|{}", r[1], r[3])).collect();
    assert_eq!(shown, expected);
    asked.clear();
    let sweep = rows(&page, "The same in numbers");
    assert_eq!(sweep.len(), 12, "50, 55 .. 100 and the one in use");
    assert!(sweep.iter().any(|r| r[0].starts_with("82.5") && r[0].contains("in use")));
}

#[test]
fn an_empty_population_has_a_page_that_says_so() {
    let page = page_of(&Collector::default().finish(), Options::default());
    tags(&page);
    for text in
        ["Escapes: none", "Blocked limits: none", "No limit moves", "No false call is saved", "0 of 0"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("NaN"));
}

#[test]
fn when_everything_is_blocked_nothing_moves_and_the_lists_are_cut_but_counted() {
    let mut c = Collector::default();
    for i in 0..130 {
        ordinary(&mut c, &format!("P{i:03}"), 12);
    }
    c.push_unreadable([None, None, None, None, None, None], Some(Verdict::Defect));
    let population = c.finish();
    let page = page_of(&population, Options::default());
    tags(&page);
    assert_eq!(rows(&page, "Blocked limits").len(), 50);
    assert!(page.contains("The first 50 of 130 limits are listed") && page.contains("No limit moves"));
    assert_eq!(page.matches("<figure class=\"chart\">").count(), 100);
    assert!(page.contains("30 more have no chart here"));
}

#[test]
fn long_tables_are_cut_and_say_how_many_are_left() {
    let mut c = Collector::default();
    for i in 0..60 {
        ordinary(&mut c, &format!("P{i:03}"), 100 + i);
    }
    let population = c.finish();
    let context = ReportContext { detail_limits: 25, ..ReportContext::default() };
    let proposals = propose(&population, &context.options);
    let page = render(&population, &proposals, &context);
    assert_eq!(rows(&page, "Table I.").len(), 25);
    assert!(page.contains("35 more limits move and save"));
    assert_eq!(page.matches("<figure class=\"chart\">").count(), 25);
    let none =
        render(&population, &proposals, &ReportContext { detail_limits: 0, ..ReportContext::default() });
    assert_eq!(rows(&none, "Table I.").len(), 20);
    assert_eq!(none.matches("<figure class=\"chart\">").count(), 0);
}

#[test]
fn given_up_defects_are_shown_first_and_never_called_all() {
    let mut c = Collector::default();
    ordinary(&mut c, "P", 60);
    push(&mut c, "P", 40.0, 39.85, Some(Verdict::Defect));
    let options = Options { misses: 1, ..Options::default() };
    let population = c.finish();
    let lost = propose(&population, &options)[0].clone();
    assert_eq!((lost.defects_before, lost.defects_after), (4, 3));
    let page = page_of(&population, options);
    assert_eq!(rows(&page, "Limits whose new value no longer flags")[0][4..], ["4", "3", "1"]);
    assert!(page.contains("3 of 4 known defects stay flagged") && page.contains("class=\"alert\""));
    assert!(!page.contains("all that the old limits flag stay flagged"));
}

#[test]
fn a_limit_that_moves_on_no_defect_is_no_evidence() {
    let mut c = Collector::default();
    for i in 0..50 {
        push(&mut c, "P", 40.0, 39.9 - 0.1 * f64::from(i), Some(Verdict::FalseCall));
    }
    let page = page_of(&c.finish(), Options { policy: Policy::Paper, ..Options::default() });
    assert_eq!(rows(&page, "Table I.")[0][10], "no evidence");
    assert!(page.contains("1 limit moves without one confirmed defect"));
}

#[test]
fn awkward_numbers_make_a_page_without_nan_or_infinity() {
    let samples: [(&str, f64, Vec<f64>); 7] = [
        ("one", 40.0, vec![39.0]),
        ("ties", 40.0, vec![39.9; 500]),
        ("minus-zero", 0.5, vec![-0.0; 20]),
        ("huge", 9e300, (0..40).map(|i| -1e300 * f64::from(i) / 10.0).collect()),
        ("span", 1.7e308, vec![-1.7e308; 20]),
        ("tiny", 0.0, vec![-5e-324; 20]),
        ("neighbour", 45.0, vec![45.0_f64.next_down(); 20]),
    ];
    let mut c = Collector::default();
    for (part, limit, values) in &samples {
        for value in values {
            push(&mut c, part, *limit, *value, Some(Verdict::FalseCall));
        }
    }
    let population = c.finish();
    let options = Options { policy: Policy::Paper, ..Options::default() };
    let context = ReportContext { options, detail_limits: 50, ..ReportContext::default() };
    let page = render(&population, &propose(&population, &context.options), &context);
    tags(&page);
    for forbidden in ["NaN", "inf\"", ">inf", "-0 ", "\"-0\"", "00000000000000000000"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("further apart than a double can measure"));
}

#[test]
fn huge_counts_keep_every_digit() {
    let mut c = Collector::default();
    ordinary(&mut c, "P", 50);
    let population = c.finish();
    let context = ReportContext::default();
    let mut proposals = propose(&population, &context.options);
    proposals[0].false_calls_before = 9_007_199_254_740_993;
    proposals[0].false_calls_after = 9_007_199_254_740_991;
    let page = render(&population, &proposals, &context);
    assert!(page.contains("9,007,199,254,740,993 → 9,007,199,254,740,991"));
    assert!(page.contains("they were made with more than these settings"), "the sweep knows other sums");
}

#[test]
fn a_new_limit_with_more_decimals_is_warned_of() {
    let population = mixed(PLAIN);
    let finer = |options: Options| page_of(&population, options).contains("the machine may not store it");
    assert!(finer(Options::default()));
    let step = "1".parse().unwrap();
    assert!(!finer(Options {
        resolution: aoi_tolerance::resolution::ResolutionRule::Step(step),
        ..Options::default()
    }));
}

#[test]
fn proposals_of_other_limits_and_a_full_disk_are_errors() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let population = mixed(PLAIN);
    let context = ReportContext::default();
    let mut proposals = propose(&population, &context.options);
    let few = write_report(&mut Vec::new(), &population, &proposals[1..], &context);
    assert!(matches!(few, Err(ReportError::Count { limits: 6, proposals: 5 })));
    let full = write_report(&mut Full, &population, &proposals, &context);
    assert!(matches!(full, Err(ReportError::Write(_))));
    proposals[3].old_limit = 41.0;
    let other = write_report(&mut Vec::new(), &population, &proposals, &context);
    assert!(matches!(other, Err(ReportError::Mismatch { index: 3, .. })));
}

/// The table in a live page, as a reader other than the page's own script sees it: the rows of the limits file at each percentile.
#[cfg(feature = "io")]
fn looked_up(page: &str, percentile: &str) -> Vec<Vec<String>> {
    let start = page.find("id=\"live-table\">").expect("the table is there") + "id=\"live-table\">".len();
    let json = &page[start..start + page[start..].find("</script>").unwrap()];
    let table: serde_json::Value = serde_json::from_str(json).unwrap();
    let texts = |name: &str| -> Vec<String> {
        table[name].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect()
    };
    let numbers = |list: &serde_json::Value| -> Vec<usize> {
        list.as_array().unwrap().iter().map(|n| usize::try_from(n.as_u64().unwrap()).unwrap()).collect()
    };
    let (columns, words, varying) = (texts("columns"), texts("words"), numbers(&table["varying"]));
    let at = texts("percentiles").iter().position(|p| p == percentile).expect("a stop of the slider");
    let row = |limit: &serde_json::Value| {
        let (mut fixed, changes) = (numbers(&limit[0]).into_iter(), numbers(&limit[1]));
        let change =
            changes.chunks(varying.len() + 1).rfind(|c| c[0] <= at).expect("a row from the first stop on");
        let cell = |column: usize| match varying.iter().position(|&v| v == column) {
            Some(place) => words[change[1 + place]].clone(),
            None => words[fixed.next().unwrap()].clone(),
        };
        let mut row: Vec<String> = (0..columns.len()).map(cell).collect();
        percentile.clone_into(&mut row[columns.iter().position(|c| c == "percentile").unwrap()]);
        row
    };
    std::iter::once(columns.clone()).chain(table["limits"].as_array().unwrap().iter().map(row)).collect()
}

#[cfg(feature = "io")]
fn live_page(population: &Population, options: &Options) -> String {
    use aoi_tolerance::io::LimitForm;
    use aoi_tolerance::report::{LimitsFile, write_live_report};
    let context = ReportContext { options: options.clone(), ..ReportContext::default() };
    let file = LimitsFile { input_sha256: "digest", form: LimitForm::Absolute };
    let mut page = Vec::new();
    write_live_report(&mut page, population, &propose(population, options), &context, &file).unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
#[cfg(feature = "io")]
fn the_live_table_holds_the_limits_file_of_every_percentile() {
    use aoi_tolerance::io::{LimitForm, LimitsTable};
    let population = mixed(["A,1", "B \"quoted\"", "C</script>", "D\n2", "E\u{e9}\u{202e}", "F"]);
    let options = Options { percentile: 77.3, misses: 1, ..Options::default() };
    let page = live_page(&population, &options);
    let mut compared = 0;
    for percentile in [0.0, 1.0, 33.0, 77.0, 77.3, 78.0, 100.0] {
        let options = Options { percentile, ..options.clone() };
        let proposals = propose(&population, &options);
        let form = LimitForm::Absolute;
        let table = LimitsTable {
            limits: &population.limits,
            proposals: &proposals,
            options: &options,
            input_sha256: "digest",
            form,
        };
        let mut csv = Vec::new();
        table.csv(&mut csv).unwrap();
        let rows = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_slice()).into_records();
        let expected: Vec<Vec<String>> =
            rows.map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(looked_up(&page, &percentile.to_string()), expected, "{percentile}");
        compared += expected.len();
    }
    assert_eq!(compared, 7 * 7);
}

#[test]
#[cfg(feature = "io")]
fn a_live_page_runs_one_script_that_its_policy_names_and_names_from_records_stay_text() {
    let page = live_page(
        &mixed(["</script><script>alert(1)</script>", "<!--", "b\u{2028}", "c", "d", "e"]),
        &Options::default(),
    );
    assert_eq!(page.matches("<script").count(), 2, "the table and the script");
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<!--") && !page.contains('\u{2028}'));
    let script = page.rsplit_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    assert_eq!(script, include_str!("../templates/live.js"));
    let policy = page.split_once("script-src '").unwrap().1.split_once('\'').unwrap().0;
    assert!(
        policy.starts_with("sha256-") && policy.len() == 7 + 44 && !page.contains("unsafe-eval"),
        "{policy}"
    );
    for forbidden in ["fetch(", "XMLHttpRequest", "innerHTML", "eval(", "import(", "document.write"] {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
    let still = page_of(&mixed(PLAIN), Options::default());
    assert!(!still.contains("script-src") && !still.contains("id=\"live\""));
}

#[test]
#[cfg(feature = "io")]
fn a_live_page_stays_of_a_size_that_opens() {
    let population = |limits: u32| {
        let mut c = Collector::default();
        for limit in 0..limits {
            ordinary(&mut c, &format!("P{limit:04}"), 150);
        }
        c.finish()
    };
    let page = live_page(&population(380), &Options::default());
    assert!(page.contains("id=\"live-table\""));
    assert!(page.len() < 4_000_000, "{} bytes", page.len());
    // More than 40,000 rows: the page is the one without a script.
    let large = population(420);
    assert_eq!(live_page(&large, &Options::default()), page_of(&large, Options::default()));
}
