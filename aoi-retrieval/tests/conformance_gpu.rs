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

/// The same on a device opened for cooperative matrices; where it has none that can be used, which is said, its plain scan is held to the
/// body all the same.
mod cooperative {
    use super::*;

    fn device() -> &'static Gpu {
        static DEVICE: OnceLock<Gpu> = OnceLock::new();
        DEVICE.get_or_init(|| {
            let gpu = Gpu::open_experimental(DeviceChoice::Any).unwrap_or_else(|e| panic!("{e}"));
            if !gpu.uses_cooperative_matrices().unwrap() {
                let why = format!("{} has none of 16x16x16 that can be used", gpu.info());
                aoi_testing::skipped("cooperative", &why);
            }
            gpu
        })
    }

    fn implementations() -> Vec<(&'static str, Build)> {
        vec![("gpu opened for cooperative matrices", |bank, metric| {
            let scan = if knows_f16(device()) { Scan::F16 } else { Scan::F32 };
            build(device(), bank, metric, scan)
        })]
    }

    conformance_tests!(implementations, [#[ignore = "needs a GPU, or a program that plays one"]]);

    #[test]
    #[ignore = "needs a GPU, or a program that plays one"]
    fn matrices_are_used_where_the_device_lists_them_and_only_on_a_device_opened_for_them() {
        let listed = device().info().cooperative.iter().any(|size| size == "16x16x16");
        let used = device().uses_cooperative_matrices().unwrap();
        assert!(listed || !used, "{:?}", device().info());
        // A driver may list what it computes wrongly; then nothing is used, and the other tests hold.
        if listed && !used {
            aoi_testing::skipped(
                "cooperative",
                "the driver lists 16x16x16, but a small product comes out wrong",
            );
        }
        assert!(!super::device().uses_cooperative_matrices().unwrap());
    }
}
