//! The kernels: their sources, the numbers they share with Rust, and how they are bound and dispatched.

#[cfg(test)]
mod bin_max;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod rescore;
#[cfg(test)]
mod select;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod threshold;

use super::plan::Form;

/// Sizes of one batch of queries against one shard; field by field the structure of `parameters.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Parameters {
    pub(super) queries: u32,
    pub(super) rows: u32,
    pub(super) first_row: u32,
    pub(super) bins: u32,
    pub(super) panels: u32,
    pub(super) width: u32,
    pub(super) words: u32,
    pub(super) k: u32,
    pub(super) capacity: u32,
    pub(super) list: u32,
    pub(super) slices: u32,
    pub(super) across: u32,
}

/// What is known of one query; field by field the structure of `parameters.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct State {
    pub(super) bins: u32,
    pub(super) rows: u32,
    pub(super) threshold: u32,
    pub(super) overflow: u32,
    pub(super) total: u32,
}

const PARAMETERS: &str = include_str!("kernels/parameters.wgsl");
const BIN_MAX: &str = include_str!("kernels/bin_max.wgsl");
const BOUNDS: &str = include_str!("kernels/bounds.wgsl");
const COUNT_PLAIN: &str = include_str!("kernels/count_plain.wgsl");
const COUNT_SUBGROUP: &str = include_str!("kernels/count_subgroup.wgsl");
const MERGE_ROWS: &str = include_str!("kernels/merge_rows.wgsl");
const SELECT_BINS: &str = include_str!("kernels/select_bins.wgsl");
const THRESHOLD: &str = include_str!("kernels/threshold.wgsl");

/// A kernel's source: what it includes, in order, then its own file.
pub(super) struct Source {
    pub(super) name: &'static str,
    parts: &'static [&'static str],
}

impl Source {
    /// The whole module.
    pub(super) fn text(&self) -> String {
        self.parts.join("\n")
    }
}

pub(super) static BIN_MAX_F32: Source =
    Source { name: "bin_max_f32", parts: &[PARAMETERS, include_str!("kernels/operands_f32.wgsl"), BIN_MAX] };
pub(super) static BIN_MAX_F16: Source = Source {
    name: "bin_max_f16",
    parts: &["enable f16;", PARAMETERS, include_str!("kernels/operands_f16.wgsl"), BIN_MAX],
};
pub(super) static BIN_MAX_INT8: Source =
    Source { name: "bin_max_int8", parts: &[PARAMETERS, include_str!("kernels/bin_max_int8.wgsl")] };
pub(super) static BIN_MAX_COOPERATIVE: Source = Source {
    name: "bin_max_cooperative",
    parts: &[
        "enable f16;\nenable wgpu_cooperative_matrix;",
        PARAMETERS,
        include_str!("kernels/bin_max_cooperative.wgsl"),
    ],
};
pub(super) static RESCORE: Source =
    Source { name: "rescore", parts: &[PARAMETERS, BOUNDS, include_str!("kernels/rescore.wgsl")] };
/// The two selections, counting thread by thread or subgroup by subgroup.
pub(super) static SELECT: [[Source; 2]; 2] = [
    [
        Source { name: "select_bins", parts: &[PARAMETERS, BOUNDS, THRESHOLD, COUNT_PLAIN, SELECT_BINS] },
        Source { name: "merge_rows", parts: &[PARAMETERS, THRESHOLD, COUNT_PLAIN, MERGE_ROWS] },
    ],
    [
        Source {
            name: "select_bins by subgroups",
            parts: &[PARAMETERS, BOUNDS, THRESHOLD, COUNT_SUBGROUP, SELECT_BINS],
        },
        Source {
            name: "merge_rows by subgroups",
            parts: &[PARAMETERS, THRESHOLD, COUNT_SUBGROUP, MERGE_ROWS],
        },
    ],
];

/// A compiled kernel; its bindings are numbered in the order of its source.
#[derive(Debug)]
pub(super) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    name: &'static str,
}

impl Kernel {
    fn compile(device: &wgpu::Device, source: &Source) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(source.name),
            source: wgpu::ShaderSource::Wgsl(source.text().into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(source.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: None,
        });
        Self { pipeline, name: source.name }
    }

    /// Binds `resources`, in the order of the source.
    pub(super) fn bind(
        &self,
        device: &wgpu::Device,
        resources: &[wgpu::BindingResource<'_>],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
            .collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// Records a dispatch.
    pub(super) fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        group: &wgpu::BindGroup,
        [x, y, z]: [u32; 3],
    ) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// The kernels of a device.
#[derive(Debug)]
pub(super) struct Kernels {
    bin_max_f32: Kernel,
    /// Where the device knows f16.
    bin_max_f16: Option<Kernel>,
    bin_max_int8: Kernel,
    /// The f16 scan by cooperative matrices, once it has passed its check.
    pub(super) cooperative: Option<Kernel>,
    rescore: Kernel,
    /// `select_bins` and `merge_rows`, plain.
    select: [Kernel; 2],
    /// The same by subgroups, where the device has them.
    select_by_subgroups: Option<[Kernel; 2]>,
}

/// The kernels of one search, in the order in which they run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stages<'a> {
    pub(super) scan: &'a Kernel,
    pub(super) select_bins: &'a Kernel,
    pub(super) rescore: &'a Kernel,
    pub(super) merge_rows: &'a Kernel,
}

impl Kernels {
    /// Compiles them; errors go to the device's error scopes.
    pub(super) fn compile(device: &wgpu::Device) -> Self {
        let compile = |source| Kernel::compile(device, source);
        Self {
            bin_max_f32: compile(&BIN_MAX_F32),
            bin_max_f16: device
                .features()
                .contains(wgpu::Features::SHADER_F16)
                .then(|| compile(&BIN_MAX_F16)),
            bin_max_int8: compile(&BIN_MAX_INT8),
            cooperative: None,
            rescore: compile(&RESCORE),
            select: SELECT[0].each_ref().map(compile),
            select_by_subgroups: device
                .features()
                .contains(wgpu::Features::SUBGROUP)
                .then(|| SELECT[1].each_ref().map(compile)),
        }
    }

    /// The f16 scan by cooperative matrices, for a device that was opened for them.
    pub(super) fn compile_cooperative(device: &wgpu::Device) -> Kernel {
        Kernel::compile(device, &BIN_MAX_COOPERATIVE)
    }

    /// Those of a search that scans `form`; none where the device does not know its numbers.
    pub(super) fn stages(&self, form: Form) -> Option<Stages<'_>> {
        let scan = match form {
            Form::F32 => &self.bin_max_f32,
            Form::F16 => self.cooperative.as_ref().or(self.bin_max_f16.as_ref())?,
            Form::Int8 => &self.bin_max_int8,
        };
        let [select_bins, merge_rows] = self.select_by_subgroups.as_ref().unwrap_or(&self.select);
        Some(Stages { scan, select_bins, rescore: &self.rescore, merge_rows })
    }
}
