//! The `aoi` command: a thin shell over the libraries.

mod command;

fn main() -> std::process::ExitCode {
    command::run()
}
