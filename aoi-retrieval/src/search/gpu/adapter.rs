//! Which devices there are, and which one is taken.

use std::fmt;

/// What kind of device an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A card with memory of its own.
    Discrete,
    /// Part of the processor.
    Integrated,
    /// Passed through to a virtual machine.
    Virtual,
    /// A program that plays a GPU.
    Software,
    /// The driver does not say.
    Unknown,
}

impl DeviceKind {
    /// The name used on command lines and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Software => "software",
            Self::Unknown => "unknown",
        }
    }

    /// Lower is preferred.
    fn rank(self) -> u8 {
        match self {
            Self::Discrete => 0,
            Self::Integrated => 1,
            Self::Virtual => 2,
            Self::Unknown => 3,
            Self::Software => 4,
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A device as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// Name of the device.
    pub name: String,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Interface it is reached through: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// Bytes of the largest storage binding.
    pub binding_bytes: u64,
    /// Bytes of the largest buffer.
    pub buffer_bytes: u64,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Workgroups per dimension of a dispatch.
    pub workgroups: u32,
    /// Smallest and largest subgroup.
    pub subgroup: (u32, u32),
    /// Features that the search can use, by name.
    pub features: Vec<&'static str>,
    /// Sizes of cooperative matrix products of f16 summed in f32, as `MxNxK`.
    pub cooperative: Vec<String>,
}

/// Optional features and their names here.
const FEATURES: [(wgpu::Features, &str); 4] = [
    (wgpu::Features::SHADER_F16, "f16"),
    (wgpu::Features::SUBGROUP, "subgroups"),
    (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
    (wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "cooperative-matrix"),
];

/// Names by which programs that play a GPU are known, whatever kind they claim; lower case.
const SOFTWARE: [&str; 5] = ["llvmpipe", "lavapipe", "swiftshader", "softpipe", "basic render"];

impl DeviceInfo {
    pub(super) fn new(info: &wgpu::AdapterInfo, limits: &wgpu::Limits, features: wgpu::Features) -> Self {
        let name = info.name.to_lowercase();
        let kind = match info.device_type {
            _ if SOFTWARE.iter().any(|s| name.contains(s)) => DeviceKind::Software,
            wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
            wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
            wgpu::DeviceType::Cpu => DeviceKind::Software,
            wgpu::DeviceType::Other => DeviceKind::Unknown,
        };
        Self {
            name: info.name.clone(),
            kind,
            backend: info.backend.to_string(),
            driver: [info.driver.as_str(), info.driver_info.as_str()].join(" ").trim().to_owned(),
            binding_bytes: limits.max_storage_buffer_binding_size,
            buffer_bytes: limits.max_buffer_size,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            workgroups: limits.max_compute_workgroups_per_dimension,
            subgroup: (info.subgroup_min_size, info.subgroup_max_size),
            features: FEATURES.into_iter().filter(|f| features.contains(f.0)).map(|f| f.1).collect(),
            cooperative: Vec::new(),
        }
    }

    /// Whether it is known to be hardware: neither a program nor of unknown kind.
    pub fn is_hardware(&self) -> bool {
        matches!(self.kind, DeviceKind::Discrete | DeviceKind::Integrated | DeviceKind::Virtual)
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}, {})", self.name, self.kind, self.backend, self.driver)
    }
}

/// Which devices may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// Hardware only.
    #[default]
    Hardware,
    /// Whatever there is, hardware first.
    Any,
}

/// The place of the best device in `devices` that `choice` allows: discrete before integrated before virtual; the first
/// of equals, in the order of the system.
pub fn choose_device(devices: &[DeviceInfo], choice: DeviceChoice) -> Option<usize> {
    (0..devices.len())
        .filter(|&i| choice == DeviceChoice::Any || devices[i].is_hardware())
        .min_by_key(|&i| devices[i].kind.rank())
}

/// Sizes of cooperative matrix products of f16 summed in f32; only an adapter knows them, not a device.
pub(super) fn cooperative_sizes(adapter: &wgpu::Adapter) -> Vec<String> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let properties = adapter.cooperative_matrix_properties();
    let usable = properties.iter().filter(|p| p.ab_type == F16 && p.cr_type == F32);
    usable.map(|p| format!("{}x{}x{}", p.m_size, p.n_size, p.k_size)).collect()
}

/// The adapters of the system with what they offer.
pub(super) fn adapters() -> Vec<(wgpu::Adapter, DeviceInfo)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
        .into_iter()
        .map(|adapter| {
            let mut info = DeviceInfo::new(&adapter.get_info(), &adapter.limits(), adapter.features());
            info.cooperative = cooperative_sizes(&adapter);
            (adapter, info)
        })
        .collect()
}

/// The devices of the system, in its order; none when there is no driver.
pub fn devices() -> Vec<DeviceInfo> {
    adapters().into_iter().map(|a| a.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, device_type: wgpu::DeviceType) -> DeviceInfo {
        let mut info = wgpu::AdapterInfo::new(device_type, wgpu::Backend::Vulkan);
        info.name = name.to_owned();
        DeviceInfo::new(&info, &wgpu::Limits::default(), wgpu::Features::SHADER_F16)
    }

    #[test]
    fn hardware_is_taken_before_software_and_cards_before_the_rest() {
        use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};
        let all = [
            device("llvmpipe (LLVM 15.0.6, 256 bits)", Cpu),
            device("an unknown", Other),
            device("a virtual", VirtualGpu),
            device("an integrated", IntegratedGpu),
            device("a card", DiscreteGpu),
            device("a second card", DiscreteGpu),
        ];
        for (from, to, hardware, any) in [
            (0, 6, Some(4), Some(4)),
            (0, 4, Some(3), Some(3)),
            (0, 3, Some(2), Some(2)),
            (0, 2, None, Some(1)),
        ] {
            assert_eq!(choose_device(&all[from..to], DeviceChoice::Hardware), hardware, "{from}..{to}");
            assert_eq!(choose_device(&all[from..to], DeviceChoice::Any), any, "{from}..{to}");
        }
        assert_eq!(choose_device(&all[..1], DeviceChoice::Hardware), None, "never a program");
        assert_eq!(choose_device(&all[..1], DeviceChoice::Any), Some(0));
        assert_eq!(choose_device(&[], DeviceChoice::Any), None);
    }

    #[test]
    fn a_program_behind_a_virtual_device_is_still_a_program() {
        let disguised =
            device("Virtio-GPU Venus (llvmpipe (LLVM 15.0.6, 256 bits))", wgpu::DeviceType::VirtualGpu);
        assert_eq!(disguised.kind, DeviceKind::Software);
        assert!(!disguised.is_hardware());
        assert_eq!(disguised.features, ["f16"]);
    }
}
