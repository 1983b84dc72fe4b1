//! The segmentation commands from pictures to records, on small pictures of bright squares and disks.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers made for a test")]

mod support;

use std::path::{Path, PathBuf};

use aoi::masks::{MaskFolder, write_label_map, write_multi_label};
use aoi_encoder::ndarray::{Array2, Array3};
use aoi_testing::Seeded;
use image::{ImageBuffer, Luma};
use support::Bench;

const CLASSES: [&str; 2] = ["square", "disk"];
const HEIGHT: usize = 45;
const WIDTH: usize = 53;

fn classes() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

/// The mask of picture `number`: a square and a disk at places that move a little; 3 has no disk.
fn mask(number: usize) -> Array3<u8> {
    let (dy, dx) = (number % 3, number % 2);
    Array3::from_shape_fn((2, HEIGHT, WIDTH), |(class, y, x)| {
        let square = (8 + dy..20 + dy).contains(&y) && (6 + dx..18 + dx).contains(&x);
        let disk = (y as f64 - 30.0 - dy as f64).hypot(x as f64 - 36.0 - dx as f64) < 7.0;
        u8::from(if class == 0 { square } else { disk && number != 3 })
    })
}

/// Pictures `numbers` under two lightings, the square bright in the first, the disk in the second.
fn pictures(folder: &Path, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| picture(folder, number, &mask(number)));
}

fn picture(folder: &Path, number: usize, mask: &Array3<u8>) {
    std::fs::create_dir_all(folder).unwrap();
    for lighting in 0..2 {
        let mut noise = Seeded::new((10 * number + lighting) as u64);
        let picture = ImageBuffer::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| {
            let on = |class: usize| f64::from(mask[[class, y as usize, x as usize]]);
            let light = 60.0 + 130.0 * on(lighting) - 30.0 * on(1 - lighting) + 4.0 * noise.normal();
            Luma([light.clamp(0.0, 255.0) as u8])
        });
        picture.save(folder.join(format!("p{number}_buffer{lighting}.png"))).unwrap();
    }
}

fn masks(folder: &Path, numbers: std::ops::Range<usize>) {
    for number in numbers {
        write_multi_label(folder, &format!("p{number}"), &classes(), mask(number).view()).unwrap();
    }
}

/// Four pictures to learn from and three to test on.
fn bench() -> Bench {
    let bench = Bench::new();
    pictures(&bench.path("images"), 0..4);
    masks(&bench.path("masks"), 0..4);
    pictures(&bench.path("test"), 4..7);
    masks(&bench.path("truth"), 4..7);
    bench
}

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

#[test]
fn what_cannot_be_used_is_refused_by_name_and_nothing_is_written() {
    let bench = bench();
    done(&bench, &format!("{INDEX} --fit w.st"));
    std::fs::create_dir(bench.path("empty")).unwrap();
    pictures(&bench.path("unlabelled"), 9..10);
    pictures(&bench.path("small"), 0..1);
    ImageBuffer::from_pixel(7, 9, Luma([0_u8])).save(bench.path("small-mask.png")).unwrap();
    std::fs::create_dir(bench.path("small-masks")).unwrap();
    std::fs::rename(bench.path("small-mask.png"), bench.path("small-masks/p0.png")).unwrap();
    bench
        .file("torn.st", "no weights")
        .file("nominal.csv", "part,class,instance,x_um,y_um,gate_um\nP,glue,G,1,1,1\n");
    let base = "segment index --weights w.st --out no.st --classes square,disk";
    let measure = "segment measure --masks masks --um-per-pixel 2 --part P --out no.st --classes square,disk";
    for (words, code, word) in [
        (format!("{base} --images unlabelled --masks masks"), 1, "mask of p9"),
        (format!("{base} --images small --masks small-masks"), 1, "9 x 7"),
        (
            base.replace("--weights w.st", "--fit no.st") + " --images unlabelled --masks masks",
            1,
            "mask of p9",
        ),
        (format!("{base} --images empty --masks masks"), 1, "empty"),
        (format!("{base} --images nowhere --masks masks"), 1, "nowhere"),
        (format!("{base} --images images --masks nowhere"), 1, "nowhere"),
        (
            "segment index --weights w.st --out no.st --classes square --images images --masks masks".into(),
            1,
            "disk.png",
        ),
        (
            "segment index --weights w.st --out no.st --classes square,glue --images images --masks masks"
                .into(),
            1,
            "glue",
        ),
        (
            "segment index --weights torn.st --out no.st --classes square --images images --masks masks"
                .into(),
            1,
            "torn.st",
        ),
        (format!("{base} --images images --masks masks --coreset 0"), 2, "above 0"),
        (format!("{base} --images images --masks masks --rows 0"), 2, "at least 1"),
        (format!("{base} --images images --masks masks --mask-values grey"), 2, "bright:LEVEL"),
        (format!("{PREDICT} --out no.st --k 0"), 2, "k must be"),
        (format!("{PREDICT} --out no.st --thresholds 0.1,0.2,0.3"), 2, "thresholds"),
        (format!("{PREDICT} --out no.st --thresholds nan"), 2, "finite"),
        (format!("{PREDICT} --out no.st --mix nearest"), 2, "multi-scale:BETA"),
        (format!("{PREDICT} --out no.st --settings torn.st"), 1, "torn.st"),
        (PREDICT.replace("w.st", &vit().display().to_string()) + " --out no.st", 1, "encoder of the bank"),
        (PREDICT.replace("bank.st", "w.st") + " --out no.st", 1, "no bank"),
        (PREDICT.replace("images test", "images empty") + " --out no.st", 1, "empty"),
        (EVALUATE.replace("truth", "masks") + " --out no.st", 1, "mask of p4"),
        ("segment tune --bank bank.st --out no.st --folds 9".into(), 2, "folds"),
        (format!("{measure} --nominal nominal.csv"), 1, "glue"),
        (measure.replace("--part P", "--part Q") + " --nominal nominal.csv", 1, "one of P"),
        (measure.replace("masks masks", "masks empty"), 1, "found none"),
        (measure.replace("pixel 2", "pixel 0"), 2, "above 0"),
        (format!("{measure} --min-area nan"), 2, "--min-area"),
    ] {
        let said = bench.aoi(&words);
        assert_eq!(said.code, code, "{words}: {said:?}");
        assert!(said.err.contains(word) && !said.err.contains("panicked"), "{words}: {}", said.err);
        assert!(!bench.path("no.st").exists(), "{words} left something");
    }
}

/// The same masks wherever the bank is searched.
#[cfg(feature = "gpu")]
#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn masks_do_not_depend_on_the_device() {
    let bench = bench();
    done(&bench, &format!("{INDEX} --fit w.st"));
    let mut found = Vec::new();
    for device in ["cpu", "gpu"] {
        let said = bench.aoi(&format!("{PREDICT} --out {device} --device {device}"));
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.err.contains("note: searching on"), device == "gpu", "{said:?}");
        let files =
            (4..7).flat_map(|n| CLASSES.map(|class| bench.path(device).join(format!("p{n}/{class}.png"))));
        found.push(files.map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>());
    }
    assert_eq!(found[0], found[1]);
    let tuned = ["cpu", "gpu"].map(|device| {
        let said = bench.aoi(&format!("segment tune --bank bank.st --out {device}.json --device {device}"));
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.err.contains("note: searched on"), device == "gpu", "{said:?}");
        (said.out, std::fs::read(bench.path(&format!("{device}.json"))).unwrap())
    });
    assert_eq!(tuned[0], tuned[1]);
}

#[cfg(not(feature = "gpu"))]
#[test]
fn a_build_without_gpus_refuses_one_before_anything_is_written() {
    let bench = bench();
    done(&bench, &format!("{INDEX} --fit w.st"));
    for words in [format!("{PREDICT} --out made"), "segment tune --bank bank.st --out made".to_owned()] {
        let said = bench.aoi(&format!("{words} --device gpu"));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("--features gpu"), "{said:?}");
        assert!(!bench.path("made").exists());
    }
}
