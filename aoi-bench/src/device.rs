//! Which GPU a command measures, and how; behind the feature `gpu`.

use aoi_retrieval::gpu::{DeviceChoice, Gpu, Scan};
use clap::Args;

use crate::ceilings::Effort;
use crate::error::Error;
use crate::neighbours::Engine;

/// What the command line says of the GPU.
#[derive(Debug, Clone, Args)]
pub struct DeviceArguments {
    /// Let cooperative matrices do the f16 scan; an error where the device has none
    #[arg(long)]
    pub cooperative: bool,
    /// Take a program that plays a GPU where there is no other; its times say nothing about one
    #[arg(long)]
    pub software: bool,
}

impl DeviceArguments {
    /// How long to measure: a program that plays a GPU would take a quarter of an hour to say nothing.
    pub fn effort(&self) -> Effort {
        if self.software { Effort::QUICK } else { Effort::FULL }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// When there is none, or it has no cooperative matrices though they were asked for.
    pub fn open(&self) -> Result<Gpu, Error> {
        let choice = if self.software { DeviceChoice::Any } else { DeviceChoice::Hardware };
        if !self.cooperative {
            return Ok(Gpu::open(choice)?);
        }
        let gpu = Gpu::open_experimental(choice)?;
        if gpu.uses_cooperative_matrices()? {
            return Ok(gpu);
        }
        let what = format!("cooperative matrices of {}", gpu.info());
        let expected = "16x16x16 of f16 in f32, and a small product that comes out right".to_owned();
        Err(Error::Answer { what, expected, got: format!("{:?}", gpu.info().cooperative) })
    }
}

/// What the command line says of a search on a GPU.
#[derive(Debug, Clone, Args)]
pub struct GpuSearchArguments {
    /// Search on a GPU whose scan reads f32, f16 or int8
    #[arg(long = "gpu", value_name = "SCAN", value_parser = scan)]
    pub scan: Option<Scan>,
    /// The GPU
    #[command(flatten)]
    pub device: DeviceArguments,
}

impl GpuSearchArguments {
    /// The engine, if a GPU was asked for.
    ///
    /// # Errors
    /// As [`DeviceArguments::open`].
    pub fn engine(&self) -> Result<Option<Engine>, Error> {
        self.scan.map(|scan| Ok(Engine::Gpu(self.device.open()?, scan))).transpose()
    }
}

fn scan(word: &str) -> Result<Scan, String> {
    let named = |scan: &Scan| format!("{scan:?}").eq_ignore_ascii_case(word);
    Scan::ALL.into_iter().find(named).ok_or_else(|| "expected f32, f16 or int8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_are_known_by_their_names() {
        assert_eq!(["f32", "f16", "int8"].map(scan), Scan::ALL.map(Ok));
        scan("f64").unwrap_err();
    }
}
