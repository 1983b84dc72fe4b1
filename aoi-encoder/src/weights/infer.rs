//! The architecture that a file's tensors, the hints beside it and the caller's options add up to.

use super::names::{Family, block_number};
use super::{Hints, LoadOptions, Tensors};
use crate::{Config, Error, Feedforward, Grid, Positions, PrefixPositions, Resampling, Result};

/// Reads sizes off the shapes; what shapes do not say comes from options, then hints, then the family's custom, which is noted.
pub(super) fn config(
    family: Family,
    tensors: &Tensors<'_>,
    hints: &Hints,
    options: &LoadOptions,
    (notes, problems): (&mut Vec<String>, &mut Vec<String>),
) -> Result<Config> {
    let fail = |problem: String| Error::Weights { family: family.name(), problems: vec![problem] };
    let shape = |name: &str| tensors.get(name).map(|v| v.shape().to_vec());
    let hugging_face = family.is_hugging_face();
    let dinov2_names = family == Family::HuggingFaceDinoV2;
    let pick = |timm: &'static str, hf: &'static str| if hugging_face { hf } else { timm };

    let patch_name = pick("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight");
    let patch_shape = shape(patch_name).ok_or_else(|| fail(format!("missing {patch_name}")))?;
    let &[width, channels, patch, patch_columns] = &patch_shape[..] else {
        return Err(fail(format!("{patch_name}: expected shape [d, c, p, p], found {patch_shape:?}")));
    };
    if patch != patch_columns {
        return Err(fail(format!("{patch_name}: expected square patches, found {patch} x {patch_columns}")));
    }
    let depth =
        tensors.keys().filter_map(|n| block_number(family, n)).max().map_or(0, |last| last.saturating_add(1));
    if depth == 0 {
        return Err(fail("no tensor belongs to a block".to_owned()));
    }
    let block = if hugging_face { "encoder.layer." } else { "blocks." };
    let any = |inner: &str| tensors.keys().any(|n| n.starts_with(block) && n.ends_with(inner));
    let registers = match [pick("reg_token", ""), pick("register_tokens", "embeddings.register_tokens")]
        .iter()
        .find_map(|n| shape(n))
    {
        Some(shape) => shape.len().checked_sub(2).map_or(0, |axis| shape[axis]),
        None => 0,
    };
    let (feedforward, hidden) = feedforward(family, tensors, hints.hidden_rows.unwrap_or(4 * width));
    let preset = options.config.as_ref();
    let of_image = |(height, width)| Grid { rows: height / patch.max(1), columns: width / patch.max(1) };
    let stored = hints.image.map(of_image).or(preset.map(|c| c.grid));
    let (grid, prefix) =
        positions(family, tensors, (hints.prefix_positions, stored), registers, notes).map_err(fail)?;
    let heads = options.heads.or(preset.map(|c| c.heads)).or(hints.heads).unwrap_or_else(|| {
        let guess = if width >= 64 && width % 64 == 0 { width / 64 } else { 1 };
        notes.push(format!(
            "guessed {guess} heads (width {} each): the file does not say",
            width / guess.max(1)
        ));
        guess
    });
    let norm_epsilon = hints.norm_epsilon.unwrap_or_else(|| {
        let custom =
            if matches!(family, Family::HuggingFaceVit | Family::HuggingFaceMae) { 1e-12 } else { 1e-6 };
        notes.push(format!(
            "norm epsilon {custom:e} by the custom of {}: the file does not say",
            family.name()
        ));
        custom
    });
    let custom = match family {
        _ if registers > 0 => Resampling::Antialiased,
        Family::Own | Family::Timm => Resampling::Antialiased,
        Family::DinoV2 => Resampling::Offset,
        _ => Resampling::Plain,
    };
    let resampling = options.resampling.unwrap_or(custom);
    let found = Config {
        channels,
        patch,
        width,
        depth,
        heads,
        hidden,
        feedforward,
        qkv_bias: any(if hugging_face { "attention.attention.query.bias" } else { "attn.qkv.bias" }),
        layer_scale: any(if dinov2_names { "layer_scale1.lambda1" } else { "ls1.gamma" }),
        registers,
        positions: Positions::Learned { prefix, resampling },
        grid,
        norm_epsilon,
    };
    disagreements(&found, hints, preset, problems);
    Ok(found)
}

/// Kind and hidden width of the feed-forward network, from the first block that has its tensors.
fn feedforward(family: Family, tensors: &Tensors<'_>, otherwise: usize) -> (Feedforward, usize) {
    let rows = |endings: &[&str], axis: usize| {
        tensors.iter().filter(|(n, _)| block_number(family, n).is_some()).find_map(|(name, view)| {
            let fits = endings.iter().any(|e| name.ends_with(e)) && !name.contains("attention");
            if fits { view.shape().get(axis).copied() } else { None }
        })
    };
    let gated = ["mlp.w12.weight", "mlp.weights_in.weight"];
    let first = rows(&["mlp.fc1.weight", "intermediate.dense.weight", gated[0], gated[1]], 0);
    let second =
        rows(&["mlp.fc2.weight", ".output.dense.weight", "mlp.w3.weight", "mlp.weights_out.weight"], 1);
    let is_gated = rows(&gated, 0).is_some()
        || matches!((first, second), (Some(first), Some(second)) if first == 2 * second && second > 0);
    let hidden = second.or(first).unwrap_or(otherwise);
    (if is_gated { Feedforward::SwiGlu } else { Feedforward::Gelu }, hidden)
}

/// The stored grid and which prefix tokens have positions, from the number of rows of the table.
fn positions(
    family: Family,
    tensors: &Tensors<'_>,
    (known_prefix, stored): (Option<PrefixPositions>, Option<Grid>),
    registers: usize,
    notes: &mut Vec<String>,
) -> std::result::Result<(Grid, PrefixPositions), String> {
    let name = if family.is_hugging_face() { "embeddings.position_embeddings" } else { "pos_embed" };
    let view = tensors.get(name).ok_or_else(|| format!("missing {name}"))?;
    let shape = view.shape();
    let rows = shape.len().checked_sub(2).map_or(0, |axis| shape[axis]);
    let candidates = match (family, known_prefix) {
        (Family::Timm | Family::Own, Some(prefix)) => vec![prefix],
        (Family::Timm | Family::Own, None) => {
            vec![PrefixPositions::All, PrefixPositions::None, PrefixPositions::Class]
        }
        _ => vec![PrefixPositions::Class],
    };
    let before = |prefix| match prefix {
        PrefixPositions::None => 0,
        PrefixPositions::Class => 1,
        PrefixPositions::All => 1 + registers,
    };
    let patches = |prefix| rows.checked_sub(before(prefix)).filter(|&n| n > 0);
    let of_stored = |&prefix: &PrefixPositions| {
        let grid = stored.filter(|g| g.rows.checked_mul(g.columns) == patches(prefix))?;
        Some((grid, prefix))
    };
    let square = |&prefix: &PrefixPositions| {
        let side = patches(prefix)?.isqrt();
        (side * side == patches(prefix)?).then_some((Grid { rows: side, columns: side }, prefix))
    };
    let Some((grid, prefix)) =
        candidates.iter().find_map(of_stored).or_else(|| candidates.iter().find_map(square))
    else {
        return Err(format!(
            "{name}: {rows} rows are no square grid{}; say the training image size in config.json",
            stored.map(|g| format!(", nor {} x {}", g.rows, g.columns)).unwrap_or_default()
        ));
    };
    if stored.is_none() && known_prefix.is_none() && candidates.len() > 1 && prefix != PrefixPositions::All {
        notes.push(format!(
            "guessed {} x {} positions, {prefix:?} before them: the file does not say",
            grid.rows, grid.columns
        ));
    }
    if let Some(said) = stored.filter(|&said| said != grid) {
        notes.push(format!(
            "{name} holds {} x {} positions, not the {} x {} said",
            grid.rows, grid.columns, said.rows, said.columns
        ));
    }
    // Without registers all prefix tokens are the class token.
    let all_is_class = registers == 0 && prefix == PrefixPositions::All;
    Ok((grid, if all_is_class { PrefixPositions::Class } else { prefix }))
}

/// What the tensors and the hints or the asked-for architecture say differently.
fn disagreements(found: &Config, hints: &Hints, preset: Option<&Config>, problems: &mut Vec<String>) {
    let hinted = [
        ("width", hints.width, found.width),
        ("depth", hints.depth, found.depth),
        ("patch", hints.patch, found.patch),
        ("channels", hints.channels, found.channels),
        ("registers", hints.registers, found.registers),
    ];
    for (what, said, found) in hinted {
        if let Some(said) = said.filter(|&s| s != found) {
            problems.push(format!("config.json says {what} {said}, the tensors {found}"));
        }
    }
    let Some(preset) = preset else { return };
    for (what, asked, found) in [
        ("width", preset.width, found.width),
        ("depth", preset.depth, found.depth),
        ("patch", preset.patch, found.patch),
        ("hidden width", preset.hidden, found.hidden),
        ("registers", preset.registers, found.registers),
    ] {
        if asked != found {
            problems.push(format!("{what} {asked} was asked for, the tensors have {found}"));
        }
    }
}
