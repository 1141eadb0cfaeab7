//! Logs: what is written, where, and in which form.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts to log to standard error: readable in a terminal, one JSON object a line elsewhere.
///
/// `RUST_LOG` chooses what is written. Names, numbers and answers of persons never are.
pub fn start(default_filter: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().init();
    }
}
