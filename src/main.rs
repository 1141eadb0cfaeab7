//! The command line: arguments in, exit code out.

use std::process::ExitCode;

use mimamori::app::{parse, run, told};
use mimamori::telemetry;

fn main() -> ExitCode {
    let arguments = match parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(no_command) => return no_command.tell(),
    };
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
