//! Where the bank is searched.

#[cfg(feature = "gpu")]
use super::pictures::CLASSES;
use super::pictures::bench;
use super::{INDEX, PREDICT, done};

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
