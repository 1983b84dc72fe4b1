//! An opened device: every failure of it becomes an error, never an abort.

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::adapter::{DeviceChoice, DeviceInfo, adapters, choose_device, cooperative_sizes};
use super::check::computes_rightly;
use super::experimental;
use super::kernels::Kernels;
use crate::RetrievalError;

/// Features taken where they are offered; nothing depends on them.
const WELCOME: wgpu::Features =
    wgpu::Features::SHADER_F16.union(wgpu::Features::SUBGROUP).union(wgpu::Features::TIMESTAMP_QUERY);

/// A device with its compiled kernels; cheap to clone, and shared by every search made with it.
///
/// # Examples
/// ```
/// use aoi_retrieval::gpu::{DeviceChoice, Gpu};
///
/// match Gpu::open(DeviceChoice::Any) {
///     Ok(gpu) => println!("searching on {}", gpu.info()),
///     Err(none) => println!("{none}"),
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Gpu(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: DeviceInfo,
    lost: Arc<OnceLock<String>>,
    kernels: OnceLock<Kernels>,
}

impl Gpu {
    /// Opens the best device that `choice` allows, with the limits and optional features that it offers.
    ///
    /// # Errors
    /// When there is no such device, or it cannot be opened.
    pub fn open(choice: DeviceChoice) -> Result<Self, RetrievalError> {
        Self::open_with(choice, WELCOME, wgpu::ExperimentalFeatures::disabled())
    }

    /// The same with what wgpu calls experimental: the f16 scan then uses cooperative matrices of 16 x 16 x 16 where the device
    /// has them, a subgroup is 32 wide and a small product comes out right. Faults in wgpu or the driver may crash this process.
    ///
    /// The bound of such a scan rests on an assumption that no standard states: that a sum of products in f32 rounds by no more
    /// than twice what WGSL allows a sum in any order.
    ///
    /// # Errors
    /// When there is no such device, or it cannot be opened.
    pub fn open_experimental(choice: DeviceChoice) -> Result<Self, RetrievalError> {
        let welcome = WELCOME | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        Self::open_with(choice, welcome, experimental::allow())
    }

    fn open_with(
        choice: DeviceChoice,
        welcome: wgpu::Features,
        experimental_features: wgpu::ExperimentalFeatures,
    ) -> Result<Self, RetrievalError> {
        let found = adapters();
        let infos: Vec<DeviceInfo> = found.iter().map(|f| f.1.clone()).collect();
        let Some(best) = choose_device(&infos, choice) else {
            let listed: Vec<String> = infos.iter().map(ToString::to_string).collect();
            return Err(RetrievalError::NoDevice {
                wanted: match choice {
                    DeviceChoice::Hardware => "a hardware GPU",
                    DeviceChoice::Any => "a GPU or a program that plays one",
                },
                found: if listed.is_empty() { "none".to_owned() } else { listed.join("; ") },
            });
        };
        let (adapter, info) = &found[best];
        let opened = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("aoi-retrieval"),
            required_features: adapter.features() & welcome,
            required_limits: adapter.limits(),
            experimental_features,
            ..wgpu::DeviceDescriptor::default()
        }));
        let (device, queue) =
            opened.map_err(|e| RetrievalError::Device { device: info.to_string(), reason: e.to_string() })?;
        let lost = Arc::new(OnceLock::new());
        let note = Arc::clone(&lost);
        // The first word is the cause; later calls only repeat it.
        device.set_device_lost_callback(move |_, reason| {
            let _ = note.set(reason);
        });
        // Errors are collected by scopes; one that escapes them all must not end the program.
        let note = Arc::clone(&lost);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            let _ = note.set(e.to_string());
        }));
        Ok(Self::from_parts(device, queue, info.clone(), lost))
    }

    /// A device that the caller opened, with whatever limits and features it was opened with.
    ///
    /// Its lost-device and uncaptured-error handlers stay the caller's, since wgpu keeps one of each: the loss of the device is an error
    /// [`Device`](RetrievalError::Device) like any other unless the caller's handler passes it on to [`Self::loss_handler`]. Cooperative
    /// matrices are not used, since a device does not tell their sizes: see [`Self::from_adapter`].
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let info = DeviceInfo::new(&device.adapter_info(), &device.limits(), device.features());
        Self::from_parts(device, queue, info, Arc::default())
    }

    /// [`Self::from_wgpu`] for a device that was opened on `adapter`, which tells the sizes of its cooperative matrices: the f16 scan uses
    /// them as after [`Self::open_experimental`] if the device was opened with that feature.
    pub fn from_adapter(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let mut info = DeviceInfo::new(&device.adapter_info(), &device.limits(), device.features());
        info.cooperative = cooperative_sizes(adapter);
        Self::from_parts(device, queue, info, Arc::default())
    }

    /// What the lost-device handler of a caller's own device calls with the reason, so that searches fail with
    /// [`DeviceLost`](RetrievalError::DeviceLost). It does not keep the device alive.
    ///
    /// # Examples
    /// ```
    /// # fn with(device: aoi_retrieval::gpu::wgpu::Device, queue: aoi_retrieval::gpu::wgpu::Queue) {
    /// use aoi_retrieval::gpu::Gpu;
    ///
    /// let gpu = Gpu::from_wgpu(device.clone(), queue);
    /// let tell = gpu.loss_handler();
    /// device.set_device_lost_callback(move |_, reason| tell(&reason));
    /// # }
    /// ```
    pub fn loss_handler(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let lost = Arc::clone(&self.0.lost);
        move |reason| {
            let _ = lost.set(reason.to_owned());
        }
    }

    fn from_parts(
        device: wgpu::Device,
        queue: wgpu::Queue,
        info: DeviceInfo,
        lost: Arc<OnceLock<String>>,
    ) -> Self {
        Self(Arc::new(Opened { device, queue, info, lost, kernels: OnceLock::new() }))
    }

    /// What the device is.
    pub fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    /// The device itself.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// Its queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// Whether the f16 scan uses cooperative matrices: the device was opened for them, has them, and got a small product right.
    ///
    /// # Errors
    /// When the kernels do not compile, or the device is lost.
    pub fn uses_cooperative_matrices(&self) -> Result<bool, RetrievalError> {
        Ok(self.kernels()?.cooperative.is_some())
    }

    /// The kernels, compiled at the first call.
    pub(super) fn kernels(&self) -> Result<&Kernels, RetrievalError> {
        if self.0.kernels.get().is_none() {
            let mut compiled = self.guarded(|| Kernels::compile(self.device()))?;
            if self.device().features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX)
                && self.info().subgroup == (32, 32)
                && self.info().cooperative.iter().any(|size| size == "16x16x16")
            {
                // A driver that cannot compile or run it is as good as one without it.
                let kernel = self.guarded(|| Kernels::compile_cooperative(self.device()));
                compiled.cooperative = kernel.ok().filter(|k| computes_rightly(self, k).unwrap_or(false));
            }
            // Another thread may have been first; its kernels are the same.
            drop(self.0.kernels.set(compiled));
        }
        Ok(self.0.kernels.get().expect("set above"))
    }

    /// Runs `work` and turns whatever the device complains about meanwhile into an error.
    pub(super) fn guarded<R>(&self, work: impl FnOnce() -> R) -> Result<R, RetrievalError> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        self.check_lost()?;
        let scopes = [Validation, Internal, OutOfMemory].map(|filter| self.device().push_error_scope(filter));
        let result = work();
        // Innermost first, and every one: a scope left behind would swallow later errors.
        let errors = scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop()));
        if let Some(error) = errors.collect::<Vec<_>>().into_iter().flatten().next() {
            return Err(self.failure(&error));
        }
        self.check_lost()?;
        Ok(result)
    }

    fn failure(&self, error: &wgpu::Error) -> RetrievalError {
        let device = self.info().to_string();
        // A loss is told by a callback, which runs while the device is polled; what it means for the poll itself does not matter.
        let _ = self.device().poll(wgpu::PollType::Poll);
        if let Some(reason) = self.0.lost.get() {
            return RetrievalError::DeviceLost { device, reason: reason.clone() };
        }
        match error {
            wgpu::Error::OutOfMemory { source } => {
                RetrievalError::DeviceMemory { device, reason: source.to_string() }
            }
            other => RetrievalError::Device { device, reason: other.to_string() },
        }
    }

    fn check_lost(&self) -> Result<(), RetrievalError> {
        match self.0.lost.get() {
            None => Ok(()),
            Some(reason) => {
                Err(RetrievalError::DeviceLost { device: self.info().to_string(), reason: reason.clone() })
            }
        }
    }

    /// Waits for the work of `submission`, or for all of it.
    pub(super) fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<(), RetrievalError> {
        let waited = self.device().poll(wgpu::PollType::Wait { submission_index: submission, timeout: None });
        self.check_lost()?;
        match waited {
            Ok(_) => Ok(()),
            Err(e) => Err(RetrievalError::Device { device: self.info().to_string(), reason: e.to_string() }),
        }
    }

    /// A buffer of `bytes` bytes, at least one word.
    pub(super) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.next_multiple_of(16).max(16),
            usage,
            mapped_at_creation: false,
        })
    }

    /// The first `bytes` of a buffer made to be read back, once the work before is done.
    pub(super) fn read(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, RetrievalError> {
        let failed = |reason: String| {
            self.check_lost()
                .err()
                .unwrap_or(RetrievalError::Device { device: self.info().to_string(), reason })
        };
        let (send, receive) = std::sync::mpsc::channel();
        self.guarded(|| {
            buffer.map_async(wgpu::MapMode::Read, ..bytes, move |mapped| {
                let _ = send.send(mapped);
            });
        })?;
        // Where several threads wait at once, another one may be about to make this call back.
        let mapped = loop {
            self.wait(None)?;
            match receive.recv_timeout(Duration::from_millis(1)) {
                Ok(mapped) => break mapped,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(failed("the device did not answer".to_owned()));
                }
            }
        };
        mapped.map_err(|e| failed(format!("results cannot be read: {e}")))?;
        let view = buffer.get_mapped_range(..bytes).map_err(|e| failed(e.to_string()))?;
        let copy = view.to_vec();
        drop(view);
        buffer.unmap();
        Ok(copy)
    }
}
