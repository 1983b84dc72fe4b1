//! The comparison as Markdown.

use std::fmt::Write;

use super::outcome::{Cell, Comparison};
use super::{ALL_WAYS, MAE, PIXELS, SCRATCH, SCRATCH_EQUAL, claims, plot};

/// `0.712 +- 0.034`, and a dash where nothing was measured.
fn accuracy(cell: Option<&Cell>) -> String {
    cell.map_or_else(
        || "-".to_owned(),
        |cell| {
            let found = cell.mean_iou();
            format!("{:.3} ± {:.3}", found.mean, found.half)
        },
    )
}

/// Rows of a setting.
fn rows<'a>(comparison: &'a Comparison, setting: &str) -> Vec<&'a str> {
    let mut rows: Vec<&str> = Vec::new();
    for cell in comparison.cells.iter().filter(|c| c.setting == setting) {
        if !rows.contains(&cell.row.as_str()) {
            rows.push(&cell.row);
        }
    }
    // From nothing to everything; what was given from outside stays between.
    let known = [SCRATCH, SCRATCH_EQUAL, MAE];
    rows.sort_by_key(|&row| match known.iter().position(|k| *k == row) {
        Some(place) => place,
        None if row == PIXELS => known.len() + 1,
        None => known.len(),
    });
    rows
}

/// Three digits or more; a dash where nothing was counted.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| if v < 10.0 { format!("{v:.3}") } else { format!("{v:.0}") })
}

/// One line of a table.
fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn head(out: &mut String, columns: &[&str]) {
    line(out, columns.iter().map(|&c| c.to_owned()));
    line(out, columns.iter().map(|_| "---".to_owned()));
}

/// Title, what the numbers say, tables, costs, how it was measured.
pub(super) fn markdown(comparison: &Comparison) -> String {
    let options = &comparison.options;
    let mut out = format!(
        "# Adapting to a device: fine-tuning or retrieval, pre-trained or not\n\n\
         Data: {}. Classes: {}. Devices: {}. {} seeds; every number is the mean over them with half its 95 % confidence interval (Student), mean IoU over all \
         pixels of the tested pictures.\n\n## What the numbers say\n\n",
        comparison.data,
        comparison.classes.join(", "),
        comparison.devices.join(", "),
        options.seeds
    );
    for judged in claims::judge(comparison) {
        let _ = writeln!(out, "- {}", judged.sentence());
    }
    for setting in comparison.settings() {
        let _ = writeln!(out, "\n## Mean IoU, {setting}\n\n![Mean IoU]({})\n", plot::file(setting));
        let mut columns = vec!["encoder"];
        columns.extend(ALL_WAYS);
        head(&mut out, &columns);
        for row in rows(comparison, setting) {
            let cells = ALL_WAYS.iter().map(|way| accuracy(comparison.cell(setting, row, way)));
            line(&mut out, std::iter::once(row.to_owned()).chain(cells));
        }
        per_class(&mut out, comparison, setting);
        costs(&mut out, comparison, setting);
    }
    method(&mut out, comparison);
    out
}

fn per_class(out: &mut String, comparison: &Comparison, setting: &str) {
    let _ = writeln!(out, "\nIoU of each class:\n");
    let mut columns = vec!["encoder", "way"];
    columns.extend(comparison.classes.iter().map(String::as_str));
    head(out, &columns);
    for cell in comparison.cells.iter().filter(|c| c.setting == setting) {
        let classes = (0..comparison.classes.len()).map(|class| {
            let iou = cell.mean(|o| o.class_iou.get(class).copied().flatten());
            iou.map_or_else(|| "-".to_owned(), |iou| format!("{iou:.3}"))
        });
        line(out, [cell.row.clone(), cell.way.clone()].into_iter().chain(classes));
    }
}

fn costs(out: &mut String, comparison: &Comparison, setting: &str) {
    let _ = writeln!(out, "\nCosts, pre-training not included:\n");
    head(out, &["encoder", "way", "adapting, s", "adapting, GFLOP", "a picture, s", "a picture, GFLOP"]);
    for cell in comparison.cells.iter().filter(|c| c.setting == setting) {
        let costs = [
            number(cell.mean(|o| Some(o.adapt_seconds))),
            number(cell.mean(|o| o.adapt_gflop)),
            number(cell.mean(|o| Some(o.image_seconds))),
            number(cell.mean(|o| o.image_gflop)),
        ];
        line(out, [cell.row.clone(), cell.way.clone()].into_iter().chain(costs));
    }
}

fn method(out: &mut String, comparison: &Comparison) {
    let (options, machine) = (&comparison.options, &comparison.machine);
    let _ = writeln!(out, "\n## Pre-training\n");
    head(out, &["seed", "unlabelled pictures", "seconds", "GFLOP", "last loss"]);
    for p in &comparison.pretraining {
        let cells = [p.seed.to_string(), p.pictures.to_string()];
        let numbers = [number(Some(p.seconds)), number(Some(p.gflop)), format!("{:.4}", p.loss)];
        line(out, cells.into_iter().chain(numbers));
    }
    let [width, depth, heads] = options.encoder;
    let [decoder_width, decoder_depth, _] = options.decoder;
    let targets = if options.normalised_targets {
        "relative to each patch's mean and deviation"
    } else {
        "as they are"
    };
    let _ = writeln!(
        out,
        "\n## How it was measured\n\n\
         - Per seed and device {} labelled pictures, {} tested, the rest for pre-training without masks. One device: every device by itself, pixels counted together. All devices: labelled \
         pictures of all, tested on all.\n\
         - Encoder: width {width}, {depth} blocks, {heads} heads, patches of {} pixels, crops of {}. Masked autoencoder: decoder {decoder_width} wide of depth {decoder_depth}, {} epochs in steps of up to {} pictures, highest rate {}, {:.0} % of the patches hidden, pixels predicted {targets}.\n\
         - Fine-tuning: linear head, all weights, {} crops; rate of the head {} and factor from block to block {} where the encoder knows something, {} and {} where it is drawn at random: \
         of the few tried on other pictures those that served each best. `scratch, equal budget` takes in addition the operations of the pre-training, in the setting of one device divided by the number of devices. \
         The last network counts, thresholds of a half; nothing is chosen on tested pictures.\n\
         - Retrieval: patch features of mean zero over unlabelled pictures, drawn at random or not; similarity with k = 10, attention with k = 30 and temperature 0.02, whole images with k = 3, thresholds of a half. Whitened features: mean and covariance of the labelled pictures' \
         patches. Whitened pixels are principal components of pixel patches, fitted on unlabelled pictures.\n\
         - Operations are counted multiplications and additions of the products; seconds are wall time with {} threads on {} ({} cores), commit {}{}, and mean little where other work ran beside.",
        options.labelled,
        options.tested,
        options.patch,
        options.crop,
        options.pretrain_epochs,
        options.pretrain_batch,
        options.pretrain_rate,
        100.0 * options.mask_ratio,
        options.finetune_crops,
        options.trained_rates.head,
        options.trained_rates.layer_decay,
        options.scratch_rates.head,
        options.scratch_rates.layer_decay,
        options.threads,
        machine.cpu,
        machine.cores,
        machine.commit,
        if machine.dirty { " with changes" } else { "" },
    );
}
