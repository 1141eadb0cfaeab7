//! Accounts and the audit at the command line: the first administrator, and the chain that tells of
//! it.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::postgres;

/// A folder with a database in it.
pub(crate) struct Host(TempDir);

impl Host {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut words = arguments.to_vec();
        words.insert(1, "--database");
        words.insert(2, "mimamori.db");
        Command::new(env!("CARGO_BIN_EXE_mimamori"))
            .args(words)
            .current_dir(self.file())
            .env_remove("MIMAMORI_CONFIG")
            .env_remove("MIMAMORI_DATABASE")
            .output()
            .unwrap()
    }

    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn bad(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }
}

const FIRST: [&str; 7] = ["staff", "add", "hanako", "--name", "花子", "--role", "administrator"];

#[test]
fn the_first_administrator_is_made_at_the_command_line() {
    let host = Host::new();
    let told = host.good(&FIRST);
    let (_, password) = told.split_once("first password: ").unwrap();
    let password = password.lines().next().unwrap();
    assert_eq!(password.len(), 19, "{told}");
    let list = host.good(&["staff", "list"]);
    assert!(list.contains("hanako") && list.contains("administrator"), "{list}");
    assert!(!list.contains(password));
    let again = host.good(&["staff", "reset", "hanako"]);
    assert!(!again.contains(password), "a new one");
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    let host = Host::new();
    host.good(&FIRST);
    for (arguments, expected) in [
        (vec!["staff", "add", "hanako", "--name", "x", "--role", "auditor"], "already"),
        (vec!["staff", "add", "Hanako", "--name", "x", "--role", "auditor"], "a login has"),
        (vec!["staff", "add", "taro", "--name", "x", "--role", "nurse"], "health centre"),
        (vec!["staff", "add", "taro", "--name", "x", "--role", "king"], "one of scheduler"),
        (
            vec!["staff", "add", "taro", "--name", "x", "--role", "nurse", "--center", "kita"],
            "no such health centre",
        ),
        (vec!["staff", "disable", "nobody"], "nobody has this login"),
        (vec!["staff", "disable", "hanako"], "staff_last_administrator"),
    ] {
        let told = host.bad(&arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn the_chain_is_followed_and_taken_out_at_the_command_line() {
    let host = Host::new();
    host.good(&FIRST);
    let whole = host.good(&["audit", "verify"]);
    assert!(whole.contains("whole: 1"), "{whole}");
    let table = host.good(&["audit", "export"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].contains("\"staff.added\"") && lines[1].contains("\"command-line\""));
    assert!(lines[2].contains("\"audit.verified\""), "{table}");
    assert!(!table.contains("花子"), "no names in the chain");
    let url = format!("sqlite://{}", host.file().join("mimamori.db").display());
    postgres::execute(&url, "update audit_event set actor = 'nobody' where seq = 1").await;
    let broken = host.run(&["audit", "verify"]);
    assert_eq!(broken.status.code(), Some(1));
    let told = String::from_utf8(broken.stdout).unwrap();
    assert!(told.contains("event 1 was changed"), "{told}");
}
