//! `mimamori staff`: accounts from the command line of the host; the first administrator is made
//! here.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::app::{Configured, clock, open_store, table};
use crate::base::Private;
use crate::base::id::{ClinicId, HealthCenterId};
use crate::registry::{Actor, AuditEntry, ConsoleLanguage, Reach, Role, Staff};
use crate::store::{Managing, Store, StoreError};
use crate::web::auth::password;

/// What is done to accounts.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// 職員を追加し、仮パスワードを表示する / Add somebody, and print a first password once
    Add(New),
    /// 職員の一覧 / List the accounts
    List,
    /// 仮パスワードを発行し、二段階認証をやり直させる / Make a first password, and have the second
    /// factor set up again
    Reset {
        /// ログイン名 / The login
        login: String,
    },
    /// ログインできなくする / Let somebody sign in no more
    Disable {
        /// ログイン名 / The login
        login: String,
    },
    /// ふたたびログインできるようにする / Let somebody sign in again
    Enable {
        /// ログイン名 / The login
        login: String,
    },
}

#[derive(Args, Debug)]
struct New {
    /// ログイン名 / The login: a–z, 0–9, . - _ @
    login: String,
    /// 氏名 / The name
    #[arg(long)]
    name: String,
    /// 役割(複数可) / The role, may be given several times
    #[arg(long, required = true, value_parser = role)]
    role: Vec<Role>,
    /// 保健所のコード。患者を見る役割には必要 / The code of the health centre: whoever sees
    /// patients needs one
    #[arg(long)]
    center: Option<String>,
    /// 医療機関のコード(役割 clinic のみ) / The code of the clinic, for the role clinic
    #[arg(long, requires = "center")]
    clinic: Option<String>,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        format!("one of {}", known.join(", "))
    })
}

/// Does it.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    options.configured.introduce_centers(&store).await?;
    let managing = store.managing(Reach::Everybody);
    match options.action {
        Action::Add(new) => add(&store, &new).await?,
        Action::List => {
            let centers = store.health_centers().await?;
            writeln!(stdout(), "{}", table::staff(&managing.staff().await?, &centers))?;
        }
        Action::Reset { login } => {
            let now = clock::host().now().timestamp;
            let staff = find(&managing, &login).await?;
            let password = password::one_time()?;
            let hash = password::hash(&password)?;
            managing.reset_password(now, staff.id, &hash, &entry("password.reset", &staff)).await?;
            let entry = entry("second_factor.reset", &staff);
            managing.reset_second_factor(now, staff.id, &entry).await?;
            tell(&staff, &password)?;
        }
        Action::Disable { login } => turn(&managing, &login, false).await?,
        Action::Enable { login } => turn(&managing, &login, true).await?,
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn add(store: &Store, new: &New) -> anyhow::Result<()> {
    let now = clock::host().now().timestamp;
    let center = center(store, new.center.as_deref()).await?;
    let staff = Staff {
        id: store.mint(now),
        health_center: center,
        clinic: clinic(store, center, new.clinic.as_deref()).await?,
        login: new.login.clone(),
        name: new.name.clone().into(),
        roles: new.role.clone(),
        is_active: true,
        language: ConsoleLanguage::Ja,
        has_second_factor: false,
        must_change_password: true,
        locked_until: None,
    };
    if let Some(fault) = staff.fault() {
        bail!("{fault}");
    }
    let password = password::one_time()?;
    let hash = password::hash(&password)?;
    let managing = store.managing(Reach::Everybody);
    let added = managing.add(now, &staff, Some(&hash), &entry("staff.added", &staff)).await;
    match added {
        Err(StoreError::Conflict { constraint }) if constraint == "staff_login" => {
            bail!("このログイン名はすでに使われています / somebody has this login already")
        }
        other => other?,
    }
    tell(&staff, &password)
}

/// The password is shown here and nowhere else.
fn tell(staff: &Staff, password: &Private<String>) -> anyhow::Result<()> {
    writeln!(
        stdout(),
        "ログイン名 / login: {}\n仮パスワード / first password: {}\n\
         72時間以内にログインして変更します / sign in within 72 hours and change it",
        staff.login,
        password.expose()
    )?;
    Ok(())
}

async fn center(store: &Store, code: Option<&str>) -> anyhow::Result<Option<HealthCenterId>> {
    let Some(code) = code else { return Ok(None) };
    let centers = store.health_centers().await?;
    let found = centers.iter().find(|center| center.code == code);
    let known: Vec<&str> = centers.iter().map(|center| center.code.as_str()).collect();
    let found = found.with_context(|| {
        format!("保健所が見つかりません / no such health centre: {code}({})", known.join(", "))
    })?;
    Ok(Some(found.id))
}

async fn clinic(
    store: &Store,
    center: Option<HealthCenterId>,
    code: Option<&str>,
) -> anyhow::Result<Option<ClinicId>> {
    let Some(code) = code else { return Ok(None) };
    let clinics = store.managing(Reach::of(center)).clinics().await?;
    let found = clinics.iter().find(|clinic| clinic.code == code);
    let found =
        found.with_context(|| format!("医療機関が見つかりません / no such clinic: {code}"))?;
    Ok(Some(found.id))
}

async fn find(managing: &Managing<'_>, login: &str) -> anyhow::Result<Staff> {
    let all = managing.staff().await?;
    let found = all.into_iter().find(|one| one.login == login);
    found.with_context(|| format!("その職員はいません / nobody has this login: {login}"))
}

async fn turn(managing: &Managing<'_>, login: &str, is_active: bool) -> anyhow::Result<()> {
    let now = clock::host().now().timestamp;
    let staff = Staff { is_active, ..find(managing, login).await? };
    managing.change(now, &staff, &entry("staff.changed", &staff)).await?;
    let text = if is_active { "有効 / enabled" } else { "停止 / disabled" };
    writeln!(stdout(), "{login}: {text}")?;
    Ok(())
}

fn entry(action: &'static str, staff: &Staff) -> AuditEntry {
    let roles: Vec<&str> = staff.roles.iter().map(|role| role.as_str()).collect();
    let state = if staff.is_active { "active" } else { "disabled" };
    AuditEntry {
        actor: Actor::CommandLine,
        health_center: staff.health_center,
        action,
        patient: None,
        object: staff.id.to_string(),
        detail: format!("roles={} {state}", roles.join("+")),
    }
}
