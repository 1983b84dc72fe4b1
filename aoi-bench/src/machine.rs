//! Where a number was measured.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// A machine and the state of the source, as far as they can be found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model name of the processor.
    pub cpu: String,
    /// Vendor family, model and stepping, where the model name says little.
    pub cpu_numbers: String,
    /// Name and driver of the GPU, where it is what was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Vector extensions that the kernels here know.
    pub features: Vec<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Operating system and kernel.
    pub system: String,
    /// The compiler at hand.
    pub rustc: String,
    /// Commit of the source.
    pub commit: String,
    /// Tracked files other than recorded results differed from the commit.
    pub dirty: bool,
}

impl Machine {
    /// Describes the machine at hand; what cannot be found out reads "unknown" or 0.
    pub fn describe() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let field = |name| entry(&cpuinfo, name).unwrap_or("unknown").to_owned();
        let numbers = ["cpu family", "model", "stepping"].map(field).join("-");
        let memory_kib = entry(&meminfo, "MemTotal").and_then(|t| t.split(' ').next()?.parse::<u64>().ok());
        Self {
            cpu: field("model name"),
            cpu_numbers: numbers,
            gpu: None,
            features: features(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_kib.unwrap_or(0) / 1024,
            system: output("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned()),
            rustc: output("rustc", &["--version"]).unwrap_or_else(|| "unknown".to_owned()),
            commit: output("git", &["rev-parse", "HEAD"])
                .or_else(packed)
                .unwrap_or_else(|| "unknown".to_owned()),
            dirty: changed(source()).unwrap_or_else(|| packed().is_none()),
        }
    }

    /// The same machine, when its GPU is measured.
    #[must_use]
    pub fn with_gpu(self, name: &str, driver: &str) -> Self {
        Self { gpu: Some(format!("{name}; {driver}")), ..self }
    }

    /// The folder of its results: the processor's name in lower case with hyphens, its numbers, and the cores; or the GPU's name.
    pub fn folder(&self) -> String {
        if let Some(gpu) = &self.gpu {
            return slug(gpu.split(';').next().unwrap_or(gpu));
        }
        format!("{}-{}-x{}", slug(&self.cpu), self.cpu_numbers, self.cores)
    }
}

/// A name in lower case with hyphens.
fn slug(name: &str) -> String {
    let plain = name.replace("(R)", " ").replace("(TM)", " ");
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// The first `name : value` line's value.
fn entry<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.trim() == name).map(|(_, v)| v.trim())
}

/// The commit that programs brought here without their source were built from, as `tools/gpu/run.sh` says.
fn packed() -> Option<String> {
    std::env::var("AOI_BENCH_COMMIT").ok().filter(|c| !c.is_empty())
}

/// Where this crate's source lies, or lay.
fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a tracked file of the repository around `folder` differs from the commit, results apart: a run of many works writes over those
/// of the day while it goes on. None outside of a repository.
fn changed(folder: &Path) -> Option<bool> {
    let results = ":(exclude,top)aoi-bench/results";
    let status = ["status", "--porcelain", "--untracked-files=no", "--", ":/", results];
    Some(!output_in(folder, "git", &status)?.is_empty())
}

/// What a command printed, if it succeeded.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    output_in(source(), program, arguments)
}

/// The same, started in `folder` where that exists.
fn output_in(folder: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    if folder.is_dir() {
        command.current_dir(folder);
    }
    let done = command.args(arguments).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<String> {
    let found = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx512bf16", std::arch::is_x86_feature_detected!("avx512bf16")),
        ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
    ];
    found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_names_the_processor_without_marks() {
        let mut machine = Machine::describe();
        machine.cpu = "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz".into();
        machine.cpu_numbers = "6-106-6".into();
        machine.cores = 2;
        assert_eq!(machine.folder(), "intel-xeon-gold-6338-cpu-2-00ghz-6-106-6-x2");
        let with = machine.with_gpu("NVIDIA H100 80GB HBM3", "NVIDIA 580.1");
        assert_eq!(with.folder(), "nvidia-h100-80gb-hbm3");
    }

    #[test]
    fn a_changed_source_is_dirty_and_a_new_result_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |arguments: &[&str]| output_in(folder.path(), "git", arguments).expect("git");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        git(&["init", "-q"]);
        let sub = folder.path().join("aoi-bench");
        for name in ["aoi/main.rs", "aoi-bench/main.rs", "aoi-bench/results/machine/ceilings.json"] {
            write(name, "1");
        }
        git(&["add", "-A"]);
        git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "one"]);
        assert_eq!(changed(&sub), Some(false));
        write("aoi-bench/results/machine/ceilings.json", "2");
        assert_eq!(changed(&sub), Some(false));
        write("aoi/main.rs", "2");
        assert_eq!(changed(&sub), Some(true));
    }

    #[test]
    fn an_entry_is_found_by_its_whole_name() {
        let text = "cpu family\t: 6\nmodel\t\t: 167\nmodel name\t: A: B\n";
        assert_eq!((entry(text, "model"), entry(text, "model name")), (Some("167"), Some("A: B")));
        assert_eq!(entry(text, "stepping"), None);
    }
}
