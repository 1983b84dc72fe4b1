//! `aoi devices` and `--device`, with and without GPU support.

mod support;

use aoi_retrieval::ndarray::Array2;
use ndarray_npy::write_npy;
use support::Bench;

fn rows(bench: &Bench) {
    let numbers = aoi_testing::lattice_f32(300 * 20, 3);
    write_npy(bench.path("rows.npy"), &Array2::from_shape_vec((300, 20), numbers).unwrap()).unwrap();
}

fn search(device: &str) -> String {
    format!(
        "retrieval search --bank rows.npy --queries rows.npy --k 5 --metric l2 --out {device} --device {device} --json"
    )
}

#[test]
fn the_cpu_is_always_there_and_says_so() {
    let bench = Bench::new();
    rows(&bench);
    let said = bench.aoi(&search("cpu"));
    assert_eq!(said.code, 0, "{said:?}");
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&summary["device"], &summary["gpu_scan"]), (&"cpu".into(), &serde_json::Value::Null));
    let said = bench.aoi(&format!("{} --gpu-scan f64", search("cpu")));
    assert!(said.code == 2 && said.err.contains("cooperative"), "every choice is named: {said:?}");
}

#[cfg(not(feature = "gpu"))]
#[test]
fn without_gpu_support_auto_is_the_cpu_and_gpu_is_refused_with_the_remedy() {
    let bench = Bench::new();
    rows(&bench);
    let said = bench.aoi(&search("auto"));
    assert_eq!(said.code, 0, "{said:?}");
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(summary["device"], "cpu");
    for words in [search("gpu"), "devices".to_owned()] {
        let said = bench.aoi(&words);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("--features gpu"), "{}", said.err);
    }
    assert!(!bench.path("gpu").exists());
}

#[cfg(feature = "gpu")]
#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn every_device_gives_the_same_files_and_auto_takes_no_program() {
    let bench = Bench::new();
    rows(&bench);
    let said = bench.aoi("devices --json");
    assert_eq!(said.code, 0, "{said:?}");
    let listed: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let devices = listed["devices"].as_array().unwrap();
    assert!(!devices.is_empty(), "{listed}");
    let best = &devices[usize::try_from(listed["gpu"].as_u64().unwrap()).unwrap()];
    assert!(best["limits"]["storage_binding_bytes"].as_u64().unwrap() >= 128 << 20, "{listed}");
    let table = bench.aoi("devices");
    assert!(table.out.contains(best["name"].as_str().unwrap()), "{}", table.out);
    let hardware = devices.iter().any(|d| d["type"] != "software" && d["type"] != "unknown");
    assert_eq!(listed["auto"].is_null(), !hardware, "{listed}");
    let mut files = Vec::new();
    for device in ["cpu", "gpu", "auto"] {
        let said = bench.aoi(&search(device));
        assert_eq!(said.code, 0, "{said:?}");
        let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let on = summary["device"].as_str().unwrap();
        match device {
            "cpu" => assert_eq!(on, "cpu"),
            "gpu" => assert!(on.contains(best["name"].as_str().unwrap()), "{on}"),
            _ => assert_eq!(on == "cpu", !hardware, "{on}"),
        }
        files.push(["indices.npy", "scores.npy"].map(|f| std::fs::read(bench.path(device).join(f)).unwrap()));
    }
    assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
}

#[cfg(feature = "gpu")]
#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn every_gpu_scan_gives_the_files_of_the_cpu() {
    let bench = Bench::new();
    rows(&bench);
    let files = |folder: &str| {
        ["indices.npy", "scores.npy"].map(|file| std::fs::read(bench.path(folder).join(file)).unwrap())
    };
    assert_eq!(bench.aoi(&search("cpu")).code, 0);
    let listed: serde_json::Value = serde_json::from_str(&bench.aoi("devices --json").out).unwrap();
    let best = &listed["devices"][usize::try_from(listed["gpu"].as_u64().unwrap()).unwrap()];
    let knows_f16 = best["features"].as_array().unwrap().contains(&"f16".into());
    if !knows_f16 {
        aoi_testing::skipped("f16", &format!("{} does not know f16", best["name"]));
    }
    // The rows are no unit vectors, whose length l2 looks at; cosines do not.
    for (scan, metric, becomes) in [
        ("auto", "l2", "f32"),
        ("auto", "cosine", if knows_f16 { "f16" } else { "f32" }),
        ("f32", "l2", "f32"),
        ("f16", "l2", "f16"),
        ("int8", "l2", "int8"),
        ("cooperative", "l2", "f16"),
    ] {
        let on_cpu = search("cpu").replace("--metric l2", &format!("--metric {metric}"));
        assert_eq!(bench.aoi(&on_cpu).code, 0);
        let words =
            on_cpu.replace("--device cpu", "--device gpu").replace("--out cpu", &format!("--out {scan}"));
        let said = bench.aoi(&format!("{words} --gpu-scan {scan}"));
        if becomes == "f16" && !knows_f16 {
            assert!(said.code == 1 && said.err.contains("f16"), "{scan}: {said:?}");
            continue;
        }
        assert_eq!(said.code, 0, "{scan}: {said:?}");
        let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(summary["gpu_scan"], becomes, "{scan}");
        let matrices = !best["cooperative_matrix"].as_array().unwrap().is_empty();
        if scan == "cooperative" && !matrices {
            assert!(said.err.contains("no matrix units"), "{said:?}");
        }
        assert!(files(scan) == files("cpu"), "{scan}, {metric}");
    }
}

#[cfg(all(feature = "gpu", target_os = "linux"))]
#[test]
fn without_a_driver_the_list_is_empty_and_gpu_is_refused_with_the_remedy() {
    let bench = Bench::new();
    rows(&bench);
    let said = without_driver(&bench, "devices");
    assert_eq!(said.0, 0, "{said:?}");
    assert!(said.1.contains("no GPU"), "{said:?}");
    let said = without_driver(&bench, &search("gpu"));
    assert_eq!(said.0, 1, "{said:?}");
    assert!(said.2.contains("driver") && said.2.contains("CPU"), "{said:?}");
    let said = without_driver(&bench, &search("auto"));
    assert_eq!(said.0, 0, "{said:?}");
}

/// Exit code, standard output and standard error of `aoi` on a machine where no Vulkan driver is found.
#[cfg(all(feature = "gpu", target_os = "linux"))]
fn without_driver(bench: &Bench, words: &str) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_aoi"))
        .args(words.split_whitespace())
        .current_dir(bench.path("."))
        .envs([("VK_DRIVER_FILES", "/dev/null"), ("VK_ICD_FILENAMES", "/dev/null")])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
