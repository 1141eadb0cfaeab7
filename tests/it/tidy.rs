//! House rules that the compiler cannot check. Each failure says what to do.

use std::{fs, path::Path, path::PathBuf};

/// The floors, lowest first. A module may use modules of lower floors only; on one floor,
/// none may use another.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["sip", "sdp", "rtp", "audio"],
    &["call"],
    &["registry"],
    &["campaign", "ivr"],
    &["observation", "tape"],
    &["escalation", "release"],
    &["store", "trunk", "prompt", "recording", "notify"],
    &["worker", "web", "sim"],
    &["config", "telemetry"],
    &["app"],
];

/// The first floor that may do I/O.
const FIRST_IO_FLOOR: usize = 7;

/// Modules that only these may use: everyone else speaks of calls, not of SIP.
const BEHIND_CALL: &[&str] = &["sip", "sdp", "rtp"];
const MAY_SPEAK_SIP: &[&str] = &["call", "trunk", "sim"];

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in sources().into_iter().chain(rust_in("tests")) {
        assert!(text.starts_with("//!"), "{}: begin with a `//!` line", path.display());
    }
}

#[test]
fn every_module_has_its_floor() {
    for (path, _) in sources() {
        let module = top_module(&path);
        let has_floor = floor_of(&module).is_some() || ["lib", "main"].contains(&module.as_str());
        assert!(
            has_floor,
            "{}: add `{module}` to FLOORS, and to the map in lib.rs",
            path.display()
        );
    }
}

#[test]
fn modules_use_lower_floors_only() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let Some(user) = floor_of(&top_module(&path)) else { continue };
        for (used, line) in crate_uses(&text) {
            match floor_of(&used) {
                Some(floor) if floor < user || used == top_module(&path) => {}
                Some(_) => faults.push(format!("{}:{line} uses `{used}`", path.display())),
                None if used.is_empty() => {
                    faults.push(format!("{}:{line} name one module per `use`", path.display()));
                }
                None => {}
            }
        }
    }
    assert!(faults.is_empty(), "against the floors (see FLOORS):\n{}", faults.join("\n"));
}

/// `super::` stays inside a module; two of them may leave it, unseen by the test of the floors.
#[test]
fn paths_across_modules_begin_at_the_crate() {
    for (path, text) in sources() {
        let climbs = text.contains("super::super::");
        assert!(!climbs, "{}: write a `crate::` path", path.display());
        let place = path.strip_prefix(root().join("src")).expect("under src");
        let is_top =
            place.iter().count() == 1 || (place.ends_with("mod.rs") && place.iter().count() == 2);
        let leaves = is_top
            && text.lines().take_while(|line| !line.starts_with("mod tests")).any(|line| {
                line.trim_start().strip_prefix("use super::").is_some_and(|used| used != "*;")
            });
        assert!(!leaves, "{}: `super` is the crate here; write `crate::`", path.display());
    }
}

#[test]
fn above_call_nobody_speaks_sip() {
    for (path, text) in sources() {
        let user = top_module(&path);
        for (used, line) in crate_uses(&text) {
            let private = BEHIND_CALL.contains(&used.as_str()) && used != user;
            let allowed = !private || MAY_SPEAK_SIP.contains(&user.as_str());
            assert!(allowed, "{}:{line}: go through `call`, not `{used}`", path.display());
        }
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    assert_eq!(names_in("migrations/sqlite"), names_in("migrations/postgres"));
}

#[test]
fn every_migration_is_part_of_the_program() {
    let list = fs::read_to_string(root().join("src/store/migration.rs")).expect("UTF-8");
    for name in names_in("migrations/sqlite") {
        let is_named = list.contains(&format!("/{name}\""));
        assert!(is_named, "add {name} to the lists in src/store/migration.rs");
    }
}

#[test]
fn nouns_do_no_io() {
    let effects = [
        "tokio::",
        "sqlx::",
        "reqwest::",
        "mio::",
        "std::fs",
        "std::io::std",
        "std::net::Udp",
        "std::net::Tcp",
        "std::process",
        "std::env",
        "std::thread",
        "rand::rng()",
        "SysRng",
        "from_os_rng",
        "SystemTime::now",
        "Timestamp::now",
        "Zoned::now",
    ];
    for (path, text) in sources() {
        if floor_of(&top_module(&path)).is_none_or(|floor| floor >= FIRST_IO_FLOOR) {
            continue;
        }
        for effect in effects {
            assert!(!text.contains(effect), "{}: `{effect}` below the I/O floor", path.display());
        }
    }
}

#[test]
fn sql_lives_in_the_store() {
    for (path, text) in sources() {
        let has_sql = text.contains("sqlx::query");
        assert!(!has_sql || top_module(&path) == "store", "{}: move SQL to store", path.display());
    }
}

#[test]
fn no_text_names_a_place_on_one_machine() {
    // Put together here, so that this file does not name them either.
    let places = ["home", "root", "work", "Users"].map(|folder| format!("/{folder}/"));
    let folders = ["src", "tests", "migrations", "prompts", ".ci", ".cargo", ".config"];
    let top = ["README.md", "Cargo.toml", ".justfile", ".gitignore"];
    let files = folders.iter().flat_map(|folder| files_in(folder));
    for path in files.chain(top.map(|name| root().join(name))) {
        // What is not text is sound, or a dictionary.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for place in &places {
            assert!(!text.contains(place), "{}: contains {place}", path.display());
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    rust_in("src")
}

fn rust_in(folder: &str) -> Vec<(PathBuf, String)> {
    let files = files_in(folder).into_iter();
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("source is UTF-8");
            (path, text)
        })
        .collect()
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder));
    let mut names: Vec<String> = entries
        .expect("folder exists")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// `src/sip/uri.rs` → `sip`; `src/app.rs` → `app`.
fn top_module(path: &Path) -> String {
    let src = root().join("src");
    let first = path.strip_prefix(src).expect("under src").iter().next().expect("not src itself");
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Every `crate::name`, with its line number; the name is empty for `crate::{…}`.
fn crate_uses(text: &str) -> Vec<(String, usize)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(index, line)| {
            line.split("crate::").skip(1).map(move |rest| {
                let name = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                (name, index + 1)
            })
        })
        .collect()
}
