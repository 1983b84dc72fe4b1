//! `aoi-bench`: inputs, ceilings, in-memory rounds, the comparison of adaptations and the report of results.

mod arguments;
mod compare_adaptation;
mod compare_copies;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aoi::demo::bonds::{BondOptions, write_bonds};
use aoi_bench::Error;
use aoi_bench::ceilings::{self, Ceiling, Ceilings, Effort, measure};
use aoi_bench::estimates::{self, Estimates};
use aoi_bench::features::{self, FeaturesOptions};
use aoi_bench::flagged::{Flagged, FlaggedOptions};
use aoi_bench::generate::{RecordsOptions, write_records};
use aoi_bench::in_memory;
use aoi_bench::live::StreamOptions;
use aoi_bench::live_store;
use aoi_bench::machine::Machine;
use aoi_bench::neighbours::{Engine, Server};
use aoi_bench::training_steps::{FinetuneSteps, MaeSteps, serve};
use aoi_bench::{forward, pipeline, quoted, report};
use aoi_encoder::mae::Decoder;
use aoi_retrieval::CompactCopy;
use aoi_tolerance::options::Options;
use clap::Parser;

use self::arguments::{Arguments, Command, Generate, precision};

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Generate(what) => generate(what)?,
        Command::Neighbours {
            bank,
            k,
            metric,
            threads,
            no_copy,
            #[cfg(feature = "gpu")]
            gpu,
        } => {
            let copy = if no_copy { CompactCopy::Never } else { CompactCopy::Auto };
            let engine = Engine::Cpu(copy);
            #[cfg(feature = "gpu")]
            let engine = gpu.engine()?.unwrap_or(engine);
            let server = Server { bank: features::read(&bank)?, metric, k, threads, engine };
            server.serve(std::io::stdin().lock(), std::io::stdout().lock())?;
        }
        Command::MaeSteps { inputs, preset, decoder, work } => {
            let decoder = Decoder { width: decoder[0], depth: decoder[1], heads: decoder[2] };
            let mut training = MaeSteps::read(&inputs, &preset, decoder, work.work())?;
            serve(&mut training, std::io::stdin().lock(), std::io::stdout().lock())?;
        }
        Command::FinetuneSteps { inputs, preset, work } => {
            let mut training = FinetuneSteps::read(&inputs, &preset, work.work())?;
            serve(&mut training, std::io::stdin().lock(), std::io::stdout().lock())?;
        }
        Command::Pipeline { weights, preset, bf16, rows, side, threads, out } => {
            let encoder = (&*preset, precision(bf16));
            let inputs = pipeline::Inputs::draw(&weights, encoder, (rows, side), threads)?;
            inputs.write(&out)?;
            inputs.serve(std::io::stdin().lock(), std::io::stdout().lock())?;
        }
        Command::Ceilings { results } => {
            write_ceilings(results.as_deref(), Machine::describe(), "ceilings", measure(Effort::FULL)?)?;
        }
        #[cfg(feature = "gpu")]
        Command::GpuCeilings { results, device } => {
            let gpu = device.open()?;
            let found = ceilings::gpu::measure(&gpu, device.effort())?;
            write_ceilings(results.as_deref(), with_gpu(&gpu), "gpu-ceilings", found)?;
        }
        #[cfg(not(feature = "gpu"))]
        Command::Machine {} => print_json(&described(&Machine::describe())),
        #[cfg(feature = "gpu")]
        Command::Machine { gpu: false, .. } => print_json(&described(&Machine::describe())),
        #[cfg(feature = "gpu")]
        Command::Machine { gpu: true, device } => print_json(&described(&with_gpu(&device.open()?))),
        Command::InMemory { folder, threads, rounds, limits } => {
            let columns = Flagged::read(&folder)?;
            let options = Options { threads, ..Options::default() };
            for _ in 0..rounds {
                let round = in_memory::round(&columns, &options)?;
                if let Some(path) = &limits {
                    let lines = round.proposals.iter().map(|p| format!("{:?}\n", p.new_limit));
                    write(path, &lines.collect::<String>())?;
                }
                println!("{}", serde_json::to_string(&round.seconds).unwrap_or_default());
            }
        }
        Command::Forward { folder, threads } => {
            forward::serve(&folder, threads, &mut std::io::stdin().lock(), &mut std::io::stdout().lock())?;
        }
        Command::Live { records, limits, flagged, rounds, folder } => {
            for round in 0..rounds {
                let options = StreamOptions { records, limits, flagged, ..StreamOptions::default() };
                let store = folder.join(format!("live-store-{}-{round}", std::process::id()));
                let seconds = live_store::round(&options, &store);
                std::fs::remove_dir_all(&store).map_err(|source| Error::File { path: store, source })?;
                println!("{}", serde_json::to_string(&seconds?).unwrap_or_default());
            }
        }
        Command::CompareAdaptation(arguments) => arguments.run()?,
        Command::CompareCopies(arguments) => arguments.run(now(SECONDS))?,
        Command::Estimates { criterion, results, by } => {
            write_estimates(&criterion, results.as_deref(), by)?;
        }
        Command::Report { results, out, check: false } => {
            report::write(&results, out.as_deref().unwrap_or(&results))?;
        }
        Command::Report { results, out, check: true } => {
            return check_report(&results, out.as_deref().unwrap_or(&results));
        }
        Command::Quoted { results, texts } => return check_quotes(&results, &texts),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes inputs.
fn generate(what: Generate) -> Result<(), Error> {
    match what {
        Generate::Records { rows, parts, seed, out } => {
            let fail = |source| Error::File { path: out.clone(), source };
            let mut file = File::create(&out).map_err(fail)?;
            let written = write_records(&mut file, &RecordsOptions { rows, parts, seed }).map_err(fail)?;
            eprintln!("{} rows, {} flagged, {} defects", written.rows, written.flagged, written.defects);
        }
        Generate::Flagged { values, limits, seed, out } => {
            Flagged::draw(&FlaggedOptions { values, limits, seed }).write(&out)?;
        }
        Generate::Features { rows, queries, width, seed, out } => {
            std::fs::create_dir_all(&out).map_err(|source| Error::File { path: out.clone(), source })?;
            let (bank, asked) = features::draw(&FeaturesOptions { rows, queries, width, seed });
            features::write(&bank, &out.join("bank.npy"))?;
            features::write(&asked, &out.join("queries.npy"))?;
        }
        Generate::Bonds { of_each, seed, out } => {
            let options = BondOptions { labelled: of_each, inspected: 0, defects: 0.0, seed };
            let written = write_bonds(&out, &options, &mut aoi::silent())?;
            eprintln!("written to {}", written.labelled_images.display());
        }
    }
    Ok(())
}

/// A machine with the name of its results folder.
fn described(machine: &Machine) -> serde_json::Value {
    serde_json::json!({ "folder": machine.folder(), "machine": machine })
}

/// This machine, when its GPU is measured.
#[cfg(feature = "gpu")]
fn with_gpu(gpu: &aoi_retrieval::gpu::Gpu) -> Machine {
    Machine::describe().with_gpu(&gpu.info().name, &gpu.info().driver)
}

/// What a record names its time by, and its folder its day.
const SECONDS: &str = "%Y-%m-%dT%H:%M:%SZ";
const DAY: &str = "%Y-%m-%d";

/// The time now (UTC).
fn now(format: &str) -> String {
    jiff::Timestamp::now().strftime(format).to_string()
}

fn write_ceilings(
    results: Option<&Path>,
    machine: Machine,
    command: &str,
    ceilings: Vec<Ceiling>,
) -> Result<(), Error> {
    let ceilings =
        Ceilings { date: now(SECONDS), machine, command: format!("aoi-bench {command}"), ceilings };
    for c in &ceilings.ceilings {
        let (name, path) = (&c.name, &c.path);
        println!(
            "{name:12} {path:10} {} threads {:8.1} {} (median {:.1})",
            c.threads, c.best, c.unit, c.median
        );
    }
    write_result(results, &ceilings.machine, ceilings::FILE, &pretty(&ceilings))
}

fn write_estimates(criterion: &Path, results: Option<&Path>, command: String) -> Result<(), Error> {
    let found = Estimates {
        date: now(SECONDS),
        machine: Machine::describe(),
        command,
        estimates: estimates::collect(criterion)?,
    };
    println!("{} benchmarks", found.estimates.len());
    write_result(results, &found.machine, estimates::FILE, &pretty(&found))
}

/// Writes `RESULTS/<machine>/<today>/name`; nothing without a folder of results.
fn write_result(results: Option<&Path>, machine: &Machine, name: &str, text: &str) -> Result<(), Error> {
    let Some(results) = results else { return Ok(()) };
    let folder = results.join(machine.folder()).join(now(DAY));
    std::fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    write(&folder.join(name), text)
}

fn check_quotes(results: &Path, texts: &[PathBuf]) -> Result<ExitCode, Error> {
    let mut wrong = 0;
    for path in texts {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?;
        let checked = quoted::check(&text, results)?;
        for fault in &checked.faults {
            eprintln!("{}:{fault}", path.display());
        }
        wrong += checked.faults.len();
        println!("{}: {} numbers quoted, {} wrong", path.display(), checked.quotes, checked.faults.len());
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_report(results: &Path, out: &Path) -> Result<ExitCode, Error> {
    let outdated = report::outdated(results, out)?;
    for file in &outdated {
        eprintln!(
            "{}: not what the results say; run `aoi-bench report {}`",
            file.display(),
            results.display()
        );
    }
    Ok(if outdated.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn print_json(value: &impl serde::Serialize) {
    print!("{}", pretty(value));
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}
