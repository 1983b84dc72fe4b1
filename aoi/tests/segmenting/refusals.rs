//! What is refused, and leaves nothing behind.

use image::{ImageBuffer, Luma};

use super::pictures::{bench, pictures};
use super::{EVALUATE, INDEX, PREDICT, done, vit};

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
