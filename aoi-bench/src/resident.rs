//! Resident memory of this process, where the system tells: on Linux, from `/proc/self`.

/// MiB that are resident now.
pub fn mib() -> Option<f64> {
    status("VmRSS:")
}

/// The most that is resident from now on.
#[derive(Debug)]
pub struct Peak(());

impl Peak {
    /// Forgets the peak so far; none where the system does not.
    pub fn start() -> Option<Self> {
        std::fs::write("/proc/self/clear_refs", "5").ok().map(Self)
    }

    /// MiB at the peak since the start.
    pub fn mib(&self) -> Option<f64> {
        status("VmHWM:")
    }
}

/// A line of the process's status, in KiB there.
fn status(key: &str) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}
