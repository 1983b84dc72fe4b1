//! The segmentation commands from pictures to records, on small pictures of bright squares and disks.
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers made for a test")]

#[path = "../support/mod.rs"]
mod support;

mod device;
mod pictures;
mod refusals;

use std::path::PathBuf;

use aoi::masks::{MaskFolder, write_label_map, write_multi_label};
use aoi_encoder::ndarray::{Array2, Array3};
use pictures::{HEIGHT, WIDTH, bench, classes, mask, picture};
use support::Bench;

const INDEX: &str = "segment index --images images --masks masks --classes square,disk --out bank.st";
const PREDICT: &str = "segment predict --weights w.st --bank bank.st --images test";
const EVALUATE: &str = "segment evaluate --weights w.st --bank bank.st --images test --masks truth --json";

fn done(bench: &Bench, words: &str) -> String {
    let said = bench.aoi(words);
    assert_eq!(said.code, 0, "{words}: {said:?}");
    said.out
}

fn json(bench: &Bench, words: &str) -> serde_json::Value {
    serde_json::from_str(&done(bench, words)).unwrap()
}

fn vit() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../aoi-encoder/tests/data/timm_two_lights/weights.safetensors")
}

#[test]
fn pictures_become_masks_measurements_records_and_limits() {
    let bench = bench();
    let index = json(&bench, &format!("{INDEX} --fit w.st --json"));
    // 45 x 53 pixels are 12 x 14 patches of 4.
    assert_eq!((&index["images"], &index["rows"]), (&4.into(), &(4 * 12 * 14).into()));
    let tuned = json(&bench, "segment tune --bank bank.st --out settings.json --trials trials.csv --json");
    // With three of four small pictures to learn from; the test pictures below have all four.
    assert!(tuned["mean_iou"].as_f64().unwrap() > 0.7, "{tuned}");
    assert_eq!(bench.table("trials.csv").len(), tuned["trials"].as_u64().unwrap() as usize);

    let scores = json(&bench, &format!("{EVALUATE} --settings settings.json --report r.html --out e.json"));
    assert!(scores["mean_iou"].as_f64().unwrap() > 0.9, "{scores}");
    let page = std::fs::read_to_string(bench.path("r.html")).unwrap();
    assert_eq!(page.matches("data:image/png").count(), 2 * 3);
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("e.json")).unwrap()).unwrap();
    assert_eq!(written, scores);

    done(&bench, &format!("{PREDICT} --out found --settings settings.json --overlay"));
    let found = MaskFolder::new(&bench.path("found"), classes()).unwrap();
    assert_eq!(found.names().unwrap(), ["p4", "p5", "p6"], "overlays are no masks");
    // The masks on disk are those that were evaluated, in the size of their pictures.
    let (mut hits, mut union) = (0, 0);
    for number in 4..7 {
        let predicted = found.read(&format!("p{number}"), (HEIGHT, WIDTH)).unwrap();
        for (p, t) in predicted.iter().zip(&mask(number)) {
            hits += u64::from(p & t);
            union += u64::from(p | t);
        }
        assert!(bench.path(&format!("found/p{number}_overlay.png")).is_file());
    }
    let sum = |name: &str| -> u64 {
        scores["classes"].as_array().unwrap().iter().map(|c| c[name].as_u64().unwrap()).sum()
    };
    assert_eq!((hits, union), (sum("hits"), sum("hits") + sum("false_alarms") + sum("misses")));

    bench.file(
        "nominal.csv",
        "part,class,instance,x_um,y_um,gate_um\nP,square,S,25,29,12\nP,disk,D,73,62,12\nP,disk,E,20,80,12\n",
    );
    bench.file(
        "limits.csv",
        "part,inspection,feature,lower,upper,unit\nP,disk,diameter,27.5,28.5,um\nP,square,offset,,5,um\n",
    );
    let measured = json(
        &bench,
        "segment measure --masks found --classes square,disk --um-per-pixel 2 --nominal nominal.csv --part P --limits limits.csv --min-area 20 --out records.csv --json",
    );
    assert_eq!((&measured["images"], &measured["missing"]), (&3.into(), &3.into()), "E is nowhere");
    let records = bench.table("records.csv");
    let of = |refdes: &str, feature: &str| -> Vec<f64> {
        let wanted = records.iter().filter(|r| r.get("refdes") == refdes && r.get("feature") == feature);
        wanted.map(|r| r.number("value")).collect()
    };
    assert_eq!(of("E", "present"), [0.0; 3]);
    assert_eq!(of("S", "present"), [1.0; 3]);
    // A disk of radius 7 pixels of 2 micrometres, its border found within a pixel and a half.
    assert!(of("D", "diameter").iter().all(|d| (d - 28.0).abs() < 6.0), "{:?}", of("D", "diameter"));
    assert_eq!(of("D", "diameter").len(), 3);
    let inspected = json(&bench, "tolerance inspect records.csv --json");
    assert_eq!(inspected["rows"], records.len(), "{inspected}");
    done(&bench, "tolerance optimise records.csv --out new.csv");
    let limits = bench.table("new.csv");
    let present =
        limits.iter().find(|l| l.get("inspection") == "disk" && l.get("feature") == "present").unwrap();
    assert_eq!(present.get("decision"), "blocked", "what is missing waits for a verdict: {present:?}");
}

#[test]
fn threads_and_batches_change_no_byte() {
    let bench = bench();
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    let weights = vit();
    let weights = weights.display();
    let run = |out: &str, options: &str| {
        done(&bench, &format!("{INDEX} --weights {weights} --cell 4 --coreset 0.5 {options}"));
        let words = format!("--weights {weights} --cell 4 --bank bank.st --images test {options}");
        done(&bench, &format!("segment predict {words} --out {out}"));
        let scores = json(&bench, &format!("segment evaluate {words} --masks truth --json"));
        (read("bank.st"), ["p4", "p6"].map(|p| read(&format!("{out}/{p}/disk.png"))), scores)
    };
    let one = run("one", "--threads 1 --batch 1");
    assert!(one == run("many", "--threads 3 --batch 7"));
    assert!(one.2["mean_iou"].as_f64().is_some());
    let fitted = |threads: u32| {
        done(&bench, &format!("{INDEX} --fit w.st --threads {threads}"));
        done(&bench, &format!("segment tune --bank bank.st --out s.json --threads {threads}"));
        (read("w.st"), read("bank.st"), read("s.json"))
    };
    assert!(fitted(1) == fitted(3));
}

#[test]
fn averages_coresets_and_label_maps_work_through() {
    let bench = bench();
    done(&bench, &format!("{INDEX} --fit w.st --labels average"));
    let average = json(&bench, EVALUATE);
    assert!(average["mean_iou"].as_f64().unwrap() > 0.6, "{average}");
    let said = bench.aoi("segment tune --bank bank.st --out s.json");
    assert!(said.code == 1 && said.err.contains("--labels complete"), "{said:?}");

    for (choice, rows) in [("k-centre", 67), ("random", 67), ("class-balanced", 64)] {
        let index = json(&bench, &format!("{INDEX} --weights w.st --coreset 0.1 --choice {choice} --json"));
        assert_eq!(index["rows"], rows, "{choice}");
    }
    let index = json(&bench, &format!("{INDEX} --weights w.st --rows 50 --json"));
    assert_eq!(index["rows"], 50);

    // Label maps in, label maps out.
    for number in 0..7 {
        let mask = mask(number);
        let map = Array2::from_shape_fn((HEIGHT, WIDTH), |(y, x)| {
            u16::from(mask[[0, y, x]]) + 2 * u16::from(mask[[1, y, x]])
        });
        std::fs::create_dir_all(bench.path("maps")).unwrap();
        write_label_map(&bench.path("maps"), &format!("p{number}"), map.view()).unwrap();
    }
    let words =
        "segment index --images images --masks maps --classes square,disk --out bank.st --weights w.st";
    done(&bench, words);
    done(&bench, &format!("{PREDICT} --out found --decision best"));
    let found = MaskFolder::new(&bench.path("found"), classes()).unwrap();
    let predicted = found.read("p5", (HEIGHT, WIDTH)).unwrap();
    assert!(bench.path("found/p5.png").is_file() && predicted.sum() > 200, "{}", predicted.sum());
    let maps =
        json(&bench, "segment evaluate --weights w.st --bank bank.st --images test --masks maps --json");
    assert!(maps["mean_iou"].as_f64().unwrap() > 0.8, "{maps}");
}

/// A square at the lower border and a bar at the right one: 45 x 53 pixels leave one row and one column of the last patches.
fn cut(number: usize) -> Array3<u8> {
    Array3::from_shape_fn((2, HEIGHT, WIDTH), |(class, y, x)| {
        let square = y >= 36 - 2 * number && (6 * number..6 * number + 12).contains(&x);
        u8::from(if class == 0 { square } else { x >= 46 - number && y < 20 })
    })
}

#[test]
fn tune_counts_the_pixels_that_evaluate_counts_and_refuses_a_coreset() {
    let bench = Bench::new();
    for number in 0..3 {
        picture(&bench.path("images"), number, &cut(number));
        picture(&bench.path(&format!("only{number}")), number, &cut(number));
        write_multi_label(&bench.path("masks"), &format!("p{number}"), &classes(), cut(number).view())
            .unwrap();
    }
    done(&bench, &format!("{INDEX} --fit w.st"));
    // Every neighbour has its say, so that patches without a border lend pixels to those that are cut.
    let tune = "segment tune --bank bank.st --out s.json --k 40 --beta 0.5 --thresholds 0.01 --trials t.csv";
    assert!(!done(&bench, tune).contains("note"));
    let by_tune: Vec<f64> = bench.table("t.csv").iter().map(|r| r.number("mean_iou")).collect();
    let mut by_evaluate = Vec::new();
    for mix in bench.table("t.csv").iter().map(|r| r.get("mix").to_owned()) {
        let mut counts = [[0; 3]; 2];
        for number in 0..3 {
            done(&bench, &format!("segment index --extend bank.st --remove p{number} --out rest.st"));
            let scores = json(
                &bench,
                &format!(
                    "segment evaluate --weights w.st --bank rest.st --images only{number} --masks masks --k 40 --mix {mix} --thresholds 0.01 --json"
                ),
            );
            for (counts, class) in counts.iter_mut().zip(scores["classes"].as_array().unwrap()) {
                for (count, name) in counts.iter_mut().zip(["hits", "false_alarms", "misses"]) {
                    *count += class[name].as_u64().unwrap();
                }
            }
        }
        let iou = |c: [u64; 3]| c[0] as f64 / (c[0] + c[1] + c[2]) as f64;
        by_evaluate.push(f64::midpoint(iou(counts[0]), iou(counts[1])));
    }
    assert_eq!(by_tune, by_evaluate);

    done(&bench, &format!("{INDEX} --weights w.st --rows 50"));
    let said = bench.aoi(tune);
    assert!(said.code == 1 && said.err.contains("index again without --coreset"), "{said:?}");
}

#[test]
fn images_are_added_and_taken_away_one_at_a_time() {
    let bench = bench();
    done(&bench, &format!("{INDEX} --fit w.st"));
    let first = std::fs::read(bench.path("bank.st")).unwrap();
    let extend = "segment index --weights w.st --extend bank.st --images test --masks truth --classes square,disk --out bank.st";
    done(&bench, extend);
    let said = bench.aoi(extend);
    assert!(said.code == 1 && said.err.contains("p4"), "a name twice: {said:?}");
    done(&bench, "segment index --extend bank.st --remove p4,p5,p6 --out bank.st");
    assert!(
        std::fs::read(bench.path("bank.st")).unwrap() == first,
        "adding and removing leaves nothing behind"
    );
    let said = bench.aoi("segment index --extend bank.st --remove p9 --out bank.st");
    assert!(said.code == 1 && said.err.contains("p9"), "{said:?}");
}

#[test]
fn the_comparison_prints_every_method_at_every_number() {
    let bench = bench();
    let words = "segment compare --images images --masks masks --classes square,disk --labelled 1,2 --tested 2 --draws 2";
    let rows = json(&bench, &format!("{words} --json"));
    let rows = rows["rows"].as_array().unwrap();
    // Six methods with two labelled images, five with one: a single image cannot be split.
    assert_eq!(rows.len(), 11);
    assert!(rows.iter().all(|r| r["mean_iou"].as_array().unwrap().len() == 2));
    assert!(done(&bench, words).contains("whole image"));
    // Beside a learned encoder stand pixel patches on the same draws: what they reach alone.
    let learned = format!("{words} --weights {} --cell 4", vit().display());
    let both = json(&bench, &format!("{learned} --json"));
    let both = both["rows"].as_array().unwrap();
    let beside: Vec<_> = both.iter().map(|r| &r["mean_iou_of_pixel_patches"]).collect();
    assert_eq!(beside, rows.iter().map(|r| &r["mean_iou"]).collect::<Vec<_>>());
    assert!(both.iter().any(|r| r["mean_iou"] != r["mean_iou_of_pixel_patches"]));
    assert!(done(&bench, &learned).contains("pixel patches"));
    let said = bench.aoi(&words.replace("--tested 2", "--tested 3"));
    assert!(said.code == 2 && said.err.contains("at most the 4"), "{said:?}");
}
