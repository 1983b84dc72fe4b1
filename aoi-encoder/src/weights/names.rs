//! What the families call their tensors.

use std::collections::{BTreeMap, BTreeSet};

use crate::Tensor;

/// Who named the tensors of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// This crate.
    Own,
    /// timm's `VisionTransformer` (and, under the same names, DINO).
    Timm,
    /// The `DINOv2` code.
    DinoV2,
    /// The masked autoencoder's code.
    Mae,
    /// Hugging Face `ViTModel`.
    HuggingFaceVit,
    /// Hugging Face `ViTMAEModel`.
    HuggingFaceMae,
    /// Hugging Face `Dinov2Model` and `Dinov2WithRegistersModel`.
    HuggingFaceDinoV2,
}

impl Family {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "aoi-encoder",
            Self::Timm => "timm",
            Self::DinoV2 => "DINOv2",
            Self::Mae => "MAE",
            Self::HuggingFaceVit => "Hugging Face ViT",
            Self::HuggingFaceMae => "Hugging Face MAE",
            Self::HuggingFaceDinoV2 => "Hugging Face DINOv2",
        }
    }

    /// Whether the names are Hugging Face's.
    pub(super) fn is_hugging_face(self) -> bool {
        matches!(self, Self::HuggingFaceVit | Self::HuggingFaceMae | Self::HuggingFaceDinoV2)
    }
}

/// Two names that every encoder has, of which either may be missing: Hugging Face's, and everybody else's.
const MARKS: [[&str; 2]; 2] = [
    ["embeddings.patch_embeddings.projection.weight", "embeddings.cls_token"],
    ["patch_embed.proj.weight", "cls_token"],
];

/// The family of a file and the prefix its wrapper put before every name (`vit.`, `backbone.` ...). Of several networks in a file the one is taken
/// whose prefix is `wanted` or starts with it.
///
/// # Errors
/// What is wrong, when there is no network, or none or several that are wanted.
pub(super) fn recognise(
    names: &[&str],
    has_own_metadata: bool,
    wanted: Option<&str>,
) -> Result<(Family, String), String> {
    let prefixes_of = |mark: &str| {
        let prefixes = names.iter().filter_map(|n| n.strip_suffix(mark));
        prefixes.filter(|p| p.is_empty() || p.ends_with('.')).collect::<BTreeSet<&str>>()
    };
    let prefixes = if has_own_metadata {
        BTreeSet::from([""])
    } else {
        MARKS.iter().flatten().map(|mark| prefixes_of(mark)).find(|p| !p.is_empty()).unwrap_or_default()
    };
    if prefixes.is_empty() {
        let found = super::list(names);
        return Err(format!("no patch projection or class token of a known family among {found}"));
    }
    let fits = |prefix: &&&str| wanted.is_none_or(|wanted| prefix.starts_with(wanted));
    let mut fitting = prefixes.iter().filter(fits);
    let prefix = match (wanted.and_then(|w| prefixes.get(w)), fitting.next(), fitting.next()) {
        (Some(prefix), ..) | (None, Some(prefix), None) => *prefix,
        (None, first, _) => {
            let quoted: Vec<String> = prefixes.iter().map(|p| format!("{p:?}")).collect();
            let (n, quoted) = (prefixes.len(), quoted.join(", "));
            return Err(match (first, wanted) {
                (None, Some(wanted)) => format!("no network with the prefix {wanted:?}; there is {quoted}"),
                _ => format!(
                    "{n} networks, with the prefixes {quoted}: choose one (LoadOptions::prefix, --prefix)"
                ),
            });
        }
    };
    if has_own_metadata {
        return Ok((Family::Own, String::new()));
    }
    // What other networks of the file are called says nothing of this one.
    let others: Vec<&str> = prefixes.iter().copied().filter(|p| !p.is_empty() && *p != prefix).collect();
    let own: Vec<&str> =
        names.iter().copied().filter(|n| !others.iter().any(|other| n.starts_with(other))).collect();
    Ok((family(&own, prefix), prefix.to_owned()))
}

/// The family of the network with this prefix.
fn family(names: &[&str], prefix: &str) -> Family {
    let any = |test: &dyn Fn(&str) -> bool| names.iter().any(|n| test(n));
    if any(&|n| n.strip_prefix(prefix).is_some_and(|inner| MARKS[0].contains(&inner))) {
        let dinov2 =
            any(&|n| n.contains(".norm1.") || n.contains("layer_scale1") || n.ends_with("register_tokens"));
        return match (dinov2, any(&|n| n.starts_with("decoder."))) {
            (true, _) => Family::HuggingFaceDinoV2,
            (false, true) => Family::HuggingFaceMae,
            (false, false) => Family::HuggingFaceVit,
        };
    }
    let decoder = any(&|n| n.contains("decoder_"));
    let dinov2 =
        any(&|n| n.ends_with("mask_token") || n.ends_with("register_tokens") || n.contains("mlp.w12"));
    match (decoder, dinov2) {
        (true, _) => Family::Mae,
        (false, true) => Family::DinoV2,
        (false, false) => Family::Timm,
    }
}

/// `blocks.0.7.x` (the chunked lists of `DINOv2` training) as `blocks.7.x`; other names as they are.
pub(super) fn flat_blocks(name: &str) -> String {
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = name.splitn(4, '.').collect();
    match parts[..] {
        ["blocks", chunk, block, rest] if is_number(chunk) && is_number(block) => {
            format!("blocks.{block}.{rest}")
        }
        _ => name.to_owned(),
    }
}

/// Number of the block that a tensor belongs to.
pub(super) fn block_number(family: Family, name: &str) -> Option<usize> {
    let rest = name.strip_prefix(block_prefix(family))?;
    rest.split_once('.')?.0.parse().ok()
}

fn block_prefix(family: Family) -> &'static str {
    match family {
        Family::Own => "block.",
        f if f.is_hugging_face() => "encoder.layer.",
        _ => "blocks.",
    }
}

/// Tensors that belong to a head, a decoder or the pre-training, known by name and of no use to an encoder.
pub(super) fn is_head(name: &str) -> bool {
    ["mask_token", "embeddings.mask_token", "decoder_pos_embed"].contains(&name)
        || ["head.", "head_dist.", "fc_norm.", "classifier.", "pooler.", "decoder.", "decoder_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The file's tensors that make up `tensor`, in order along its first axis.
pub(super) fn sources<V>(family: Family, tensor: &Tensor, file: &BTreeMap<String, V>) -> Vec<String> {
    let name = tensor.name.as_str();
    if family == Family::Own {
        return vec![name.to_owned()];
    }
    let Some(block) = tensor.block else {
        return vec![outer(family, name)];
    };
    let inner = name.trim_start_matches(&format!("block.{block}."));
    let before = format!("{}{block}.", block_prefix(family));
    let names: Vec<String> =
        if family.is_hugging_face() { hugging_face(family, inner) } else { vec![timm(inner)] };
    let gated = [
        ("mlp.fc1.", "mlp.w12."),
        ("mlp.fc2.", "mlp.w3."),
        ("mlp.fc1.", "mlp.weights_in."),
        ("mlp.fc2.", "mlp.weights_out."),
    ];
    let choose = |name: String| {
        let plain = format!("{before}{name}");
        let others = gated.iter().filter(|(from, _)| name.starts_with(from));
        let mut others = others.map(|(from, to)| plain.replacen(from, to, 1));
        // The gated names are taken where the file uses them anywhere, so that a missing one is named rightly.
        others
            .find(|n| !file.contains_key(&plain) && file.keys().any(|k| shares_layer(k, n)))
            .unwrap_or(plain)
    };
    names.into_iter().map(choose).collect()
}

/// Whether two names end in the same module, blocks aside: `...mlp.w12.weight` and `...mlp.w12.bias`.
fn shares_layer(a: &str, b: &str) -> bool {
    let module = |n: &str| n.rsplit('.').nth(1).map(str::to_owned);
    module(a) == module(b)
}

fn outer(family: Family, name: &str) -> String {
    let (timm, hugging_face) = match name {
        "patch.weight" => ("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight"),
        "patch.bias" => ("patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias"),
        "class_token" => ("cls_token", "embeddings.cls_token"),
        "register_tokens" if family == Family::Timm => ("reg_token", ""),
        "register_tokens" => ("register_tokens", "embeddings.register_tokens"),
        "positions" => ("pos_embed", "embeddings.position_embeddings"),
        "norm.weight" => ("norm.weight", "layernorm.weight"),
        "norm.bias" => ("norm.bias", "layernorm.bias"),
        other => (other, other),
    };
    if family.is_hugging_face() { hugging_face } else { timm }.to_owned()
}

fn timm(inner: &str) -> String {
    match inner {
        "scale1" => "ls1.gamma".to_owned(),
        "scale2" => "ls2.gamma".to_owned(),
        _ => inner
            .replace("attention.qkv.", "attn.qkv.")
            .replace("attention.out.", "attn.proj.")
            .replace("mlp.in.", "mlp.fc1.")
            .replace("mlp.out.", "mlp.fc2."),
    }
}

fn hugging_face(family: Family, inner: &str) -> Vec<String> {
    if let Some(kind) = inner.strip_prefix("attention.qkv.") {
        return ["query", "key", "value"].map(|part| format!("attention.attention.{part}.{kind}")).to_vec();
    }
    let name = match inner {
        "scale1" => "layer_scale1.lambda1".to_owned(),
        "scale2" => "layer_scale2.lambda1".to_owned(),
        _ => inner.replace("attention.out.", "attention.output.dense."),
    };
    let name = if family == Family::HuggingFaceDinoV2 {
        name.replace("mlp.in.", "mlp.fc1.").replace("mlp.out.", "mlp.fc2.")
    } else {
        name.replace("mlp.in.", "intermediate.dense.")
            .replace("mlp.out.", "output.dense.")
            .replace("norm1.", "layernorm_before.")
            .replace("norm2.", "layernorm_after.")
    };
    vec![name]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_apart_by_a_few_names() {
        for (names, family, prefix) in [
            (&["cls_token", "blocks.0.norm1.weight"][..], Family::Timm, ""),
            (&["module.patch_embed.proj.weight", "module.mask_token"], Family::DinoV2, "module."),
            (&["patch_embed.proj.weight", "mask_token", "decoder_embed.weight"], Family::Mae, ""),
            (&["vit.embeddings.cls_token", "classifier.bias"], Family::HuggingFaceVit, "vit."),
            (&["vit.embeddings.cls_token", "decoder.mask_token"], Family::HuggingFaceMae, "vit."),
            (
                &["embeddings.cls_token", "encoder.layer.0.layer_scale1.lambda1"],
                Family::HuggingFaceDinoV2,
                "",
            ),
        ] {
            for wanted in [None, Some(prefix)] {
                assert_eq!(recognise(names, false, wanted), Ok((family, prefix.to_owned())), "{names:?}");
            }
        }
        assert_eq!(recognise(&["class_token"], true, None), Ok((Family::Own, String::new())));
        for names in [&["conv1.weight", "layer1.0.bn.bias"][..], &[]] {
            assert!(recognise(names, false, None).unwrap_err().contains("no patch projection"), "{names:?}");
        }
    }

    #[test]
    fn of_several_networks_one_is_taken_only_when_it_is_named() {
        let names =
            ["teacher.backbone.cls_token", "student.backbone.cls_token", "student.backbone.mask_token"];
        for (wanted, family, prefix) in [
            ("teacher.", Family::Timm, "teacher.backbone."),
            ("student.backbone.", Family::DinoV2, "student.backbone."),
        ] {
            assert_eq!(recognise(&names, false, Some(wanted)), Ok((family, prefix.to_owned())));
        }
        for wanted in [None, Some("")] {
            let problem = recognise(&names, false, wanted).unwrap_err();
            for word in ["2 networks", "\"student.backbone.\", \"teacher.backbone.\"", "--prefix"] {
                assert!(problem.contains(word), "{problem}");
            }
        }
        // No prefix is a prefix too.
        let names = ["cls_token", "ema.cls_token"];
        assert!(recognise(&names, false, None).unwrap_err().contains("\"\", \"ema.\""));
        assert_eq!(recognise(&names, false, Some("")), Ok((Family::Timm, String::new())));
        assert_eq!(recognise(&names, false, Some("ema.")), Ok((Family::Timm, "ema.".to_owned())));
        for (names, own) in [(&names[..], false), (&["class_token"], true)] {
            let problem = recognise(names, own, Some("teacher.")).unwrap_err();
            assert!(problem.contains("no network with the prefix \"teacher.\""), "{problem}");
        }
    }

    #[test]
    fn chunked_blocks_are_flattened_and_others_left_alone() {
        assert_eq!(flat_blocks("blocks.0.7.norm1.weight"), "blocks.7.norm1.weight");
        assert_eq!(flat_blocks("blocks.7.norm1.weight"), "blocks.7.norm1.weight");
        assert_eq!(flat_blocks("blocks"), "blocks");
    }
}
