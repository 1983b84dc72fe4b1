//! The conformance body on a device: ignored by default, since it needs one; `--include-ignored` fails where there is none.
#![cfg(feature = "gpu")]

mod support;

use std::sync::{Once, OnceLock};

use aoi_retrieval::RetrievalError;
use aoi_retrieval::gpu::{DeviceChoice, Gpu, GpuOptions, GpuSearch, Scan};
use aoi_retrieval::ndarray::{CowArray, Ix2};
use aoi_retrieval::{Metric, Search};
use support::conformance::{Build, conformance_tests};

fn device() -> &'static Gpu {
    static DEVICE: OnceLock<Gpu> = OnceLock::new();
    DEVICE.get_or_init(|| Gpu::open(DeviceChoice::Any).unwrap_or_else(|e| panic!("{e}")))
}

/// Said where it does not, once a program.
fn knows_f16(gpu: &Gpu) -> bool {
    static SAID: Once = Once::new();
    let known = gpu.info().features.contains(&"f16");
    if !known {
        SAID.call_once(|| aoi_testing::skipped("f16", &format!("{} does not know f16", gpu.info())));
    }
    known
}

fn build<'a>(
    gpu: &Gpu,
    bank: impl Into<CowArray<'a, f32, Ix2>>,
    metric: Metric,
    scan: Scan,
) -> Result<Box<dyn Search + 'a>, RetrievalError> {
    let options = GpuOptions { scan, ..GpuOptions::default() };
    Ok(Box::new(GpuSearch::new(gpu, bank, metric, &options)?))
}

fn implementations() -> Vec<(&'static str, Build)> {
    let mut all: Vec<(&'static str, Build)> = vec![
        ("gpu, f32 scan", |bank, metric| build(device(), bank, metric, Scan::F32)),
        ("gpu, byte scan", |bank, metric| build(device(), bank, metric, Scan::Int8)),
    ];
    if knows_f16(device()) {
        all.push(("gpu, f16 scan", |bank, metric| build(device(), bank, metric, Scan::F16)));
    }
    all
}

conformance_tests!(implementations, [#[ignore = "needs a GPU, or a program that plays one"]]);
