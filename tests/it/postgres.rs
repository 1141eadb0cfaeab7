//! A throw-away PostgreSQL for the tests that want one.
//!
//! It is started once per run, with sockets in a temporary folder, and stopped by a small shell
//! that notices when the tests are over, however they ended. Where PostgreSQL is not installed the
//! tests that need it say so and pass, unless `MIMAMORI_REQUIRE_POSTGRES=1`.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection};

struct Server {
    folder: PathBuf,
    /// Lives as long as its standard input is open: as long as this process.
    _shell: Child,
}

/// The address of a fresh, empty database; `None`, and a printed line, without PostgreSQL.
#[expect(clippy::print_stdout, reason = "who runs the tests must know what was left out")]
pub(crate) async fn fresh_database(claim: &str) -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let Some(server) = SERVER.get_or_init(start) else {
        let must = env::var("MIMAMORI_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
        assert!(!must, "PostgreSQL is required, but initdb and postgres were not found");
        println!("left out: {claim} on PostgreSQL, which is not installed");
        return None;
    };
    let name = format!("d{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    execute(&url(server, "postgres"), &format!("create database {name}")).await;
    Some(url(server, &name))
}

/// Runs statements on any database, past the store.
pub(crate) async fn execute(url: &str, statements: &str) {
    let mut connection = connect(url).await;
    let text = AssertSqlSafe(statements.to_owned());
    sqlx::raw_sql(text).execute(&mut connection).await.expect("the statements are right");
    connection.close().await.expect("the server is there");
}

/// A connection past the store. Waits while the server starts.
pub(crate) async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let options: AnyConnectOptions = url.parse().expect("the address is one");
    let mut tries = 0;
    loop {
        match options.clone().disable_statement_logging().connect().await {
            Ok(connection) => return connection,
            Err(error) if tries == 600 => panic!("the database does not answer: {error}"),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn url(server: &Server, database: &str) -> String {
    format!("postgres://postgres@localhost/{database}?host={}", server.folder.display())
}

fn start() -> Option<Server> {
    let programs = programs()?;
    // The path of a socket has some hundred bytes at most; that of a temporary folder may not.
    let folder = PathBuf::from(format!("/tmp/mimamori-postgres-{}", process::id()));
    fs::create_dir(&folder).expect("/tmp can be written");
    let user = user(&folder);
    chown(&folder, Some(user.0), Some(user.1)).expect("the folder is ours");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    let data = folder.join("data");
    let made = Command::new(programs.join("initdb"))
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])
        .args(["--no-sync", "--pgdata"])
        .arg(&data)
        .current_dir(&folder)
        .uid(user.0)
        .gid(user.1)
        .output()
        .expect("initdb runs");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    // `cat` ends when this process does. SIGQUIT stops the server at once.
    let script = "\"$0\" -D \"$1/data\" -k \"$1\" -c listen_addresses= -c fsync=off \
        -c max_connections=200 -c shared_buffers=32MB >\"$1/log\" 2>&1 & \
        cat >/dev/null; kill -QUIT $!; wait $!; rm -rf \"$1\"";
    let shell = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(programs.join("postgres"))
        .arg(&folder)
        .current_dir("/")
        .uid(user.0)
        .gid(user.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // An interrupt at the terminal is for the tests; the shell has its own sign.
        .process_group(0)
        .spawn()
        .expect("sh runs");
    Some(Server { folder, _shell: shell })
}

/// The folder with `initdb` and `postgres`: on the path, or where Debian keeps them.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.into_iter().find(|it| it.join("initdb").exists() && it.join("postgres").exists())
}

/// Whom the server runs as: PostgreSQL refuses to run as root.
fn user(folder: &Path) -> (u32, u32) {
    let own = fs::metadata(folder).expect("the folder was made");
    if own.uid() != 0 {
        return (own.uid(), own.gid());
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut columns = line.split(':').skip(2).map(str::parse);
        Some((columns.next()?.ok()?, columns.next()?.ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).expect("there is a user besides root")
}
