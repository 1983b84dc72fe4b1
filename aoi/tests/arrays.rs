//! The commands over arrays and weights, on the fixtures that numpy, timm and torch made for the libraries.

mod support;

use std::path::PathBuf;

use aoi_retrieval::ndarray::{Array2, Array4, Ix2};
use aoi_testing::assert_all_close;
use ndarray_npy::{read_npy, write_npy};
use safetensors::SafeTensors;
use support::Bench;

/// A fixture of one of the libraries.
fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn search_finds_what_numpy_finds_under_every_metric() {
    let data = fixture("aoi-retrieval/tests/data/mixing");
    for metric in ["cosine", "inner-product", "l2"] {
        let bench = Bench::new();
        for name in ["bank.npy", "queries.npy"] {
            bench.file(name, std::fs::read(data.join(name)).unwrap());
        }
        let said = bench.aoi(&format!(
            "retrieval search --bank bank.npy --queries queries.npy --k 6 --metric {metric} --out found --json"
        ));
        assert_eq!(said.code, 0, "{said:?}");
        let indices: Array2<u32> = read_npy(bench.path("found/indices.npy")).unwrap();
        let expected: Array2<u32> = read_npy(data.join(format!("nearest_{metric}.npy"))).unwrap();
        assert_eq!(indices, expected, "{metric}");
        let scores: Array2<f32> = read_npy(bench.path("found/scores.npy")).unwrap();
        let expected: Array2<f64> = read_npy(data.join(format!("score_{metric}.npy"))).unwrap();
        // The file is f32: one rounding.
        assert_all_close(scores.as_slice().unwrap(), expected.as_slice().unwrap(), 1e-12, 6e-8);
        let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(summary["k"], 6);
    }
}

#[test]
fn info_says_every_part_of_the_architecture_in_words_and_as_json() {
    let learned = |prefix: &str, resampling: &str| serde_json::json!({"kind": "learned", "prefix": prefix, "resampling": resampling});
    let bench = Bench::new();
    // Norms, positions, feed-forward, LayerScale, bias of q, k and v of four families; words that the text has too.
    for (case, epsilon, positions, feedforward, scale, words) in [
        ("timm_plain", 1e-6, learned("class", "antialiased"), "gelu", false, "epsilon 1e-6"),
        ("timm_swiglu", 1e-6, learned("class", "antialiased"), "swiglu", true, "SwiGlu"),
        ("dinov2", 1e-6, learned("class", "offset"), "gelu", true, "layer scale: true"),
        ("hugging_face_vit", 1e-12, learned("class", "plain"), "gelu", false, "epsilon 1e-12"),
    ] {
        let path = fixture(&format!("aoi-encoder/tests/data/{case}/weights.safetensors"));
        let info = |more: &str| {
            let said = bench.aoi(&format!("encoder info {}{more}", path.display()));
            assert_eq!(said.code, 0, "{case}: {said:?}");
            said.out
        };
        let json: serde_json::Value = serde_json::from_str(&info(" --json")).unwrap();
        assert_eq!(json["norm_epsilon"], epsilon, "{case}");
        assert_eq!((&json["positions"], &json["feedforward"]), (&positions, &feedforward.into()), "{case}");
        assert_eq!((&json["layer_scale"], &json["qkv_bias"]), (&scale.into(), &true.into()), "{case}");
        for key in ["family", "width", "depth", "heads", "hidden", "patch", "channels", "registers", "grid"] {
            assert!(!json[key].is_null(), "{case}: {key}");
        }
        for key in ["image", "parameters", "number_types", "notes", "problems"] {
            assert!(!json[key].is_null(), "{case}: {key}");
        }
        let text = info("");
        assert!(text.contains(words) && text.contains("norms: epsilon 1e-"), "{case}: {text}");
    }
}

#[test]
fn arrays_that_are_no_rows_of_f32_are_refused_by_name() {
    let bench = Bench::new();
    write_npy(bench.path("rows.npy"), &Array2::<f32>::zeros((3, 2))).unwrap();
    write_npy(bench.path("wide.npy"), &Array2::<f32>::zeros((3, 4))).unwrap();
    write_npy(bench.path("double.npy"), &Array2::<f64>::zeros((3, 2))).unwrap();
    write_npy(bench.path("nan.npy"), &Array2::<f32>::from_elem((3, 2), f32::NAN)).unwrap();
    write_npy(bench.path("deep.npy"), &Array4::<f32>::zeros((1, 1, 3, 2))).unwrap();
    let whole = std::fs::read(bench.path("rows.npy")).unwrap();
    bench.file("short.npy", &whole[..whole.len() - 1]).file("text.npy", "hello");
    // A header that claims far more than the file holds must not be believed.
    let claims = String::from_utf8_lossy(&whole[..128]).replace("(3, 2), ", "(99999999999, 2), ");
    let mut huge = claims.into_bytes();
    huge.truncate(128);
    bench.file("huge.npy", huge);
    for (bank, word) in [
        ("missing.npy", "cannot be read"),
        ("double.npy", "f32"),
        ("deep.npy", "two axes"),
        ("short.npy", "f32"),
        ("text.npy", "f32"),
        ("huge.npy", "f32"),
        ("wide.npy", "4"),
        ("nan.npy", "row 0"),
    ] {
        let said = bench.aoi(&format!("retrieval search --bank {bank} --queries rows.npy --out found"));
        assert_eq!(said.code, 1, "{bank}: {said:?}");
        assert!(said.err.contains(word), "{bank}: {}", said.err);
    }
    let said = bench.aoi("retrieval search --bank rows.npy --queries rows.npy --k 0 --out found");
    assert_ne!(said.code, 0, "{said:?}");
    assert!(!bench.path("found").exists());
}

#[test]
fn embeddings_of_an_array_are_those_of_timm() {
    let data = fixture("aoi-encoder/tests/data/timm_two_lights");
    let expected = std::fs::read(data.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let numbers = |tensors: &SafeTensors<'_>, name: &str| -> Vec<f32> {
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let bench = Bench::new();
    let images = expected.tensor("images").unwrap();
    let &[b, c, h, w] = images.shape() else { panic!("four axes") };
    let images = Array4::from_shape_vec((b, c, h, w), numbers(&expected, "images")).unwrap();
    write_npy(bench.path("images.npy"), &images).unwrap();
    let weights = data.join("weights.safetensors");
    let said = bench.aoi(&format!(
        "encoder embed {} --images images.npy --out out.safetensors --blocks 0 --json",
        weights.display()
    ));
    assert_eq!(said.code, 0, "{said:?}");
    let out = std::fs::read(bench.path("out.safetensors")).unwrap();
    let out = SafeTensors::deserialize(&out).unwrap();
    for name in ["cls", "patches", "block_0"] {
        let (actual, wanted) = (numbers(&out, name), numbers(&expected, name));
        let largest = wanted.iter().fold(0.0_f64, |m, x| m.max(f64::from(x.abs())));
        assert_all_close(&actual, &wanted, 1e-5 * largest, 0.0);
    }
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(summary["images"], b);
    let info = bench.aoi(&format!("encoder info {} --json", weights.display()));
    let info: serde_json::Value = serde_json::from_str(&info.out).unwrap();
    assert_eq!((&info["channels"], &info["problems"]), (&2.into(), &serde_json::json!([])));
}

#[test]
fn precision_and_resampling_are_the_callers_choice() {
    let data = fixture("aoi-encoder/tests/data/timm_resampled_larger");
    let expected = std::fs::read(data.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let numbers = |tensors: &SafeTensors<'_>, name: &str| -> Vec<f32> {
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let bench = Bench::new();
    let images = expected.tensor("images").unwrap();
    let &[b, c, h, w] = images.shape() else { panic!("four axes") };
    let images = Array4::from_shape_vec((b, c, h, w), numbers(&expected, "images")).unwrap();
    write_npy(bench.path("images.npy"), &images).unwrap();
    let wanted = numbers(&expected, "patches");
    let largest = wanted.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let weights = data.join("weights.safetensors");
    let error = |more: &str| {
        let command =
            format!("encoder embed {} --images images.npy --out out.safetensors {more}", weights.display());
        let said = bench.aoi(&command);
        assert_eq!(said.code, 0, "{said:?}");
        let out = std::fs::read(bench.path("out.safetensors")).unwrap();
        let got = numbers(&SafeTensors::deserialize(&out).unwrap(), "patches");
        assert_eq!(got.len(), wanted.len());
        got.iter().zip(&wanted).fold(0.0_f32, |m, (g, w)| m.max((g - w).abs())) / largest
    };
    let (default, named) = (error(""), error("--resampling antialiased --precision f32"));
    assert!(default < 1e-5 && named == default, "{default:e} {named:e}");
    let rounded = error("--precision bf16");
    assert!(rounded > 1e-4 && rounded < 0.05, "{rounded:e}");
    let plain = error("--resampling plain");
    assert!(plain > 1e-4, "another resampling gives other positions: {plain:e}");
    let said =
        bench.aoi(&format!("encoder embed {} --images images.npy --out o --precision f8", weights.display()));
    assert!(said.code == 2 && said.err.contains("bf16"), "{said:?}");
}

#[test]
fn weights_that_cannot_be_used_are_refused_and_nothing_is_written() {
    let bench = Bench::new();
    write_npy(bench.path("images.npy"), &Array4::<f32>::zeros((1, 2, 32, 32))).unwrap();
    let good = std::fs::read(fixture("aoi-encoder/tests/data/timm_two_lights/weights.safetensors")).unwrap();
    bench.file("torn.safetensors", &good[..good.len() / 2]).file("text.safetensors", "hello, weights");
    for weights in ["torn.safetensors", "text.safetensors", "missing.safetensors"] {
        let said = bench.aoi(&format!("encoder embed {weights} --images images.npy --out out.safetensors"));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(weights) && !said.err.contains("panicked"), "{}", said.err);
    }
    assert!(!bench.path("out.safetensors").exists());
    let said = bench.aoi("encoder info torn.safetensors --preset vit-q/3");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("vit-s/16"), "the presets are listed: {}", said.err);
}

#[test]
fn of_two_networks_in_one_file_the_prefix_says_which() {
    let bench = Bench::new();
    let bytes = std::fs::read(fixture("aoi-encoder/tests/data/timm_plain/weights.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let both = ["student.", "teacher."]
        .map(|prefix| file.tensors().into_iter().map(move |(n, v)| (format!("{prefix}{n}"), v)));
    let both = safetensors::serialize(both.into_iter().flatten(), None).unwrap();
    std::fs::write(bench.path("both.safetensors"), both).unwrap();
    let said = bench.aoi("encoder info both.safetensors");
    assert_eq!(said.code, 1);
    for word in ["\"student.\"", "\"teacher.\"", "--prefix"] {
        assert!(said.err.contains(word), "{}", said.err);
    }
    let said = bench.aoi("encoder info both.safetensors --prefix teacher.");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("left aside: student."), "{}", said.out);
}

#[test]
fn search_does_not_depend_on_threads() {
    let bench = Bench::new();
    let rows = aoi_testing::lattice_f32(500 * 24, 3);
    let bank = Array2::from_shape_vec(Ix2(500, 24), rows).unwrap();
    write_npy(bench.path("bank.npy"), &bank).unwrap();
    let run = |threads: u32| {
        let words = format!(
            "retrieval search --bank bank.npy --queries bank.npy --k 9 --metric l2 --out t{threads} --threads {threads}"
        );
        assert_eq!(bench.aoi(&words).code, 0);
        ["indices.npy", "scores.npy"].map(|f| std::fs::read(bench.path(&format!("t{threads}/{f}"))).unwrap())
    };
    assert!(run(1) == run(3));
}
