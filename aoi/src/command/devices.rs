//! `aoi devices` and `--device`: which devices there are, and which one a command takes.

use clap::{Args, ValueEnum};

use super::outcome::{Failure, Outcome};

/// Where a command computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Device {
    /// The GPU when there is a real one, else the CPU
    #[default]
    Auto,
    /// The CPU
    Cpu,
    /// The best GPU there is, even a program that plays one
    Gpu,
}

#[derive(Args)]
#[command(after_help = "--device auto takes the device marked *, and the CPU when none is marked.\n\n\
    Example:\n  aoi devices --json")]
pub(crate) struct Arguments {
    /// Print the devices as one JSON object
    #[arg(long)]
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "nothing to print without GPU support"))]
    json: bool,
}

/// What a build without the feature can say about GPUs.
#[cfg(not(feature = "gpu"))]
pub(super) const NOT_BUILT: &str =
    "this aoi was built without GPU support; build it with `--features gpu`, or use --device cpu";

/// Lists the devices.
#[cfg(not(feature = "gpu"))]
pub(crate) fn run(_: &Arguments) -> Result<Outcome, Failure> {
    Err(Failure::Other(NOT_BUILT.to_owned()))
}

/// Lists the devices.
#[cfg(feature = "gpu")]
#[expect(clippy::unnecessary_wraps, reason = "the build without GPUs fails here")]
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    use aoi_retrieval::gpu::{DeviceChoice, choose_device, devices};
    use serde_json::json;

    let found = devices();
    let auto = choose_device(&found, DeviceChoice::Hardware);
    if arguments.json {
        let list: Vec<_> = found
            .iter()
            .map(|d| {
                json!({
                    "name": d.name,
                    "type": d.kind.name(),
                    "backend": d.backend,
                    "driver": d.driver,
                    "features": d.features,
                    "cooperative_matrix": d.cooperative,
                    "limits": {
                        "storage_binding_bytes": d.binding_bytes,
                        "buffer_bytes": d.buffer_bytes,
                        "workgroup_memory_bytes": d.workgroup_bytes,
                        "workgroups_per_dimension": d.workgroups,
                        "subgroup_sizes": [d.subgroup.0, d.subgroup.1],
                    },
                })
            })
            .collect();
        println!(
            "{}",
            json!({"devices": list, "auto": auto, "gpu": choose_device(&found, DeviceChoice::Any)})
        );
        return Ok(Outcome::Done);
    }
    if found.is_empty() {
        println!("no GPU, and no program that plays one; --device auto takes the CPU");
        return Ok(Outcome::Done);
    }
    let mebi = |bytes: u64| format!("{} MiB", bytes >> 20);
    let head =
        ["", "device", "type", "driver", "binding", "buffer", "workgroup", "features"].map(str::to_owned);
    let mut rows = vec![head];
    for (i, d) in found.iter().enumerate() {
        rows.push([
            if auto == Some(i) { "*" } else { "" }.to_owned(),
            d.name.clone(),
            d.kind.to_string(),
            format!("{} {}", d.backend, d.driver),
            mebi(d.binding_bytes),
            mebi(d.buffer_bytes),
            format!("{} KiB", d.workgroup_bytes >> 10),
            d.features
                .iter()
                .copied()
                .chain(d.cooperative.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join(" "),
        ]);
    }
    let widths: [usize; 8] =
        std::array::from_fn(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0));
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    if auto.is_none() {
        println!("none of them is hardware; --device auto takes the CPU");
    }
    Ok(Outcome::Done)
}
