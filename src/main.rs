//! The command line: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use mimamori::app::{Arguments, run, told};
use mimamori::telemetry;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::start(arguments.log_filter());
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing else has chosen a provider yet");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the system can start threads");
    match runtime.block_on(run(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mimamori: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}
