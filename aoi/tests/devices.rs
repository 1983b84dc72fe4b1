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
    assert_eq!(summary["device"], "cpu");
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
