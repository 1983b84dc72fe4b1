//! Files that are cut, lie about themselves, or are not of a transformer.

use std::collections::HashMap;

use aoi_encoder::Error;
use aoi_encoder::weights::{LoadOptions, inspect, load};
use aoi_testing::for_each_case;
use safetensors::Dtype;
use tempfile::TempDir;

use super::{Raw, data, load_bytes, raw, refusal, serialized, with_header};

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = std::fs::read(data("timm_plain")).unwrap();
    let cuts = (0..whole.len()).step_by(97);
    assert!(cuts.len() > 100);
    for cut in cuts {
        assert!(matches!(load_bytes(&whole[..cut]), Err(Error::Format { .. })), "cut at {cut}");
    }
}

#[test]
fn a_header_longer_than_the_file_is_refused() {
    for length in [u64::MAX, u64::MAX / 2, 1 << 40, 99_000_000] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        assert!(matches!(load_bytes(&bytes), Err(Error::Format { .. })), "{length}");
    }
}

#[test]
fn overlapping_offsets_are_refused() {
    let header = r#"{"cls_token":{"dtype":"F32","shape":[1,1,2],"data_offsets":[0,8]},
        "pos_embed":{"dtype":"F32","shape":[1,1,2],"data_offsets":[4,12]}}"#;
    assert!(matches!(load_bytes(&with_header(header, &[0; 12])), Err(Error::Format { .. })));
}

#[test]
fn a_huge_shape_without_bytes_is_refused() {
    for shape in ["[1099511627776,1099511627776]", "[1099511627776,3,16,16]", "[18446744073709551615,2]"] {
        let header = format!(
            r#"{{"patch_embed.proj.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,8]}}}}"#
        );
        assert!(matches!(load_bytes(&with_header(&header, &[0; 8])), Err(Error::Format { .. })), "{shape}");
    }
}

#[test]
fn a_huge_side_beside_a_zero_side_is_refused() {
    let mut raw = raw("timm_plain");
    for shape in [vec![1 << 60, 0, 4, 4], vec![0, 3, 4, 4], vec![16, 0, 4, 4], vec![0, 0, 1 << 40, 1 << 40]] {
        raw.insert("patch_embed.proj.weight".to_owned(), (Dtype::F32, shape, Vec::new()));
        assert!(load_bytes(&serialized(&raw, None)).is_err());
    }
}

#[test]
fn an_enormous_block_number_is_refused() {
    for number in ["99999", "18446744073709551615", "99999999999999999999999"] {
        let mut raw = raw("timm_plain");
        raw.insert(format!("blocks.{number}.norm1.weight"), (Dtype::F32, vec![16], vec![0; 64]));
        let message = refusal(&serialized(&raw, None));
        assert!(message.contains("depth") || message.contains(number), "{message}");
    }
}

#[test]
fn an_enormous_architecture_in_our_metadata_is_refused_before_memory_is_taken() {
    let huge = r#"{"channels":3,"patch":16,"width":65536,"depth":1024,"heads":1,"hidden":500000,"feedforward":"gelu",
        "qkv_bias":true,"layer_scale":false,"registers":0,"positions":{"kind":"sin_cos"},"grid":[1,1],"norm_epsilon":1e-6}"#;
    let metadata = HashMap::from([("aoi_encoder_config".to_owned(), huge.to_owned())]);
    let message = refusal(&serialized(&Raw::new(), Some(metadata)));
    assert!(message.contains("missing patch.weight"), "{}", &message[..200]);
}

#[test]
fn our_metadata_that_is_no_configuration_is_refused() {
    for text in ["", "{}", "[]", "{\"channels\":-1}", "{\"channels\":1e300}"] {
        let metadata = HashMap::from([("aoi_encoder_config".to_owned(), text.to_owned())]);
        assert!(load_bytes(&serialized(&raw("timm_plain"), Some(metadata))).is_err(), "{text}");
    }
}

#[test]
fn nan_and_infinite_weights_are_refused_and_named() {
    for (bits, name) in [(f32::NAN, "blocks.1.attn.qkv.weight"), (f32::INFINITY, "norm.bias")] {
        let mut raw = raw("timm_plain");
        raw.get_mut(name).unwrap().2[8..12].copy_from_slice(&bits.to_le_bytes());
        let message = refusal(&serialized(&raw, None));
        assert!(message.contains(name) && message.contains("entry 2"), "{message}");
    }
}

#[test]
fn two_tensors_that_come_to_one_name_are_refused_and_both_named() {
    let name = "blocks.1.norm1.weight";
    for (own, other) in
        [(name, "blocks.0.1.norm1.weight"), ("blocks.3.1.norm1.weight", "blocks.0.1.norm1.weight")]
    {
        let mut raw = raw("timm_plain");
        let tensor = raw.remove(name).unwrap();
        raw.insert(own.to_owned(), tensor.clone());
        assert!(load_bytes(&serialized(&raw, None)).is_ok(), "{own} alone");
        raw.insert(other.to_owned(), (Dtype::F32, tensor.1, vec![0; tensor.2.len()]));
        let message = refusal(&serialized(&raw, None));
        assert!([own, other].iter().all(|n| message.contains(n)), "{message}");
        // Behind a wrapper's prefix too, and in a file that is only looked at.
        let wrapped: Raw = raw.into_iter().map(|(n, t)| (format!("module.{n}"), t)).collect();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("weights.safetensors");
        std::fs::write(&path, serialized(&wrapped, None)).unwrap();
        let message = inspect(&path, &LoadOptions::default()).unwrap_err().to_string();
        assert!([own, other].iter().all(|n| message.contains(&format!("module.{n}"))), "{message}");
    }
}

#[test]
fn of_a_tensor_with_and_one_without_the_prefix_the_one_with_it_is_taken_and_the_other_named() {
    let plain = raw("timm_plain");
    let mut wrapped: Raw = plain.iter().map(|(n, t)| (format!("module.{n}"), t.clone())).collect();
    wrapped.insert("norm.weight".to_owned(), (Dtype::F32, vec![16], vec![0; 64]));
    let weights = load_bytes(&serialized(&wrapped, None)).unwrap();
    assert_eq!(weights.params.values(), load_bytes(&serialized(&plain, None)).unwrap().params.values());
    assert!(weights.notes.iter().any(|n| n.contains("left aside: norm.weight")), "{:?}", weights.notes);
}

#[test]
fn of_two_networks_in_one_file_none_is_taken_unless_it_is_chosen() {
    let plain = raw("timm_plain");
    let halved = |bytes: &[u8]| -> Vec<u8> {
        let numbers = bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b) / 2.0);
        numbers.flat_map(f32::to_le_bytes).collect()
    };
    let mut both = Raw::new();
    for (name, (dtype, shape, bytes)) in &plain {
        both.insert(format!("student.{name}"), (*dtype, shape.clone(), halved(bytes)));
        both.insert(format!("teacher.{name}"), (*dtype, shape.clone(), bytes.clone()));
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, serialized(&both, None)).unwrap();
    let wanted = |prefix: Option<&str>| LoadOptions {
        heads: Some(2),
        prefix: prefix.map(str::to_owned),
        ..LoadOptions::default()
    };
    for refused in [load(&path, &wanted(None)).map(drop), inspect(&path, &wanted(None)).map(drop)] {
        let message = refused.unwrap_err().to_string();
        assert!(["student.", "teacher.", "--prefix"].iter().all(|word| message.contains(word)), "{message}");
    }
    let own = load_bytes(&serialized(&plain, None)).unwrap().params;
    let teacher = load(&path, &wanted(Some("teacher."))).unwrap();
    assert_eq!(teacher.params.values(), own.values());
    assert!(teacher.notes.iter().any(|n| n.contains("left aside: student.")), "{:?}", teacher.notes);
    let student = load(&path, &wanted(Some("student."))).unwrap().params;
    assert!(student.values().iter().zip(own.values()).all(|(s, o)| *s == o / 2.0));
}

#[test]
fn a_wrong_number_type_is_refused_and_named() {
    let mut raw = raw("timm_plain");
    raw.insert("norm.weight".to_owned(), (Dtype::I32, vec![16], vec![0; 64]));
    let message = refusal(&serialized(&raw, None));
    assert!(message.contains("norm.weight") && message.contains("I32"), "{message}");
}

#[test]
fn every_missing_tensor_is_named_in_every_family() {
    let cases = ["timm_plain", "timm_swiglu", "dinov2_registers", "hugging_face_vit", "hugging_face_giant"];
    let mut removed = 0;
    for case in cases {
        let whole = raw(case);
        // Of no use to the encoder, or (registers) not to be missed where no config.json counts them.
        let optional = ["mask_token", "pooler", "register_tokens"];
        for name in whole.keys().filter(|n| !optional.iter().any(|o| n.contains(o))) {
            let mut raw = whole.clone();
            raw.remove(name);
            let result = load_bytes(&serialized(&raw, None));
            let message = result.expect_err(name).to_string();
            assert!(message.contains(name), "{case} without {name}: {message}");
            removed += 1;
        }
    }
    assert!(removed > 100, "{removed}");
}

#[test]
fn all_problems_are_named_at_once() {
    let mut raw = raw("timm_plain");
    raw.remove("blocks.0.norm1.bias");
    raw.insert("blocks.1.mlp.fc2.bias".to_owned(), (Dtype::F32, vec![17], vec![0; 68]));
    raw.insert("blocks.1.attn.q_norm.weight".to_owned(), (Dtype::F32, vec![8], vec![0; 32]));
    let Err(Error::Weights { problems, .. }) = load_bytes(&serialized(&raw, None)) else { panic!("refused") };
    assert_eq!(problems.len(), 3, "{problems:?}");
    let all = problems.join("\n");
    assert!(all.contains("missing blocks.0.norm1.bias [16]"));
    assert!(all.contains("blocks.1.mlp.fc2.bias: expected shape [16], found [17]"));
    assert!(all.contains("unused blocks.1.attn.q_norm.weight [8]"));
}

#[test]
fn a_file_of_another_kind_of_model_is_refused_with_its_names() {
    let raw = Raw::from([("conv1.weight".to_owned(), (Dtype::F32, vec![1], vec![0; 4]))]);
    assert!(refusal(&serialized(&raw, None)).contains("conv1.weight"));
    assert!(refusal(&serialized(&Raw::new(), None)).contains("no tensor at all"));
}

#[test]
fn a_configuration_that_disagrees_with_the_tensors_is_refused() {
    for_each_case(
        [
            ("width", r#"{"dim": 32, "heads": 2}"#),
            ("depth", r#"{"hidden_size": 16, "num_hidden_layers": 12, "num_attention_heads": 2}"#),
            ("heads", r#"{"dim": 16, "heads": 18446744073709551615}"#),
            ("heads", r#"{"dim": 16, "heads": 3}"#),
            ("hidden_act", r#"{"hidden_size": 16, "hidden_act": "relu"}"#),
            ("JSON", "[1, 2]"),
            ("config.json", "{"),
        ]
        .map(|(what, text)| (what, (what, text))),
        |(what, text)| {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("weights.safetensors");
            std::fs::copy(data("timm_plain"), &path).unwrap();
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            let message = load(&path, &LoadOptions::default()).unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        },
    );
}
