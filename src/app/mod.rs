//! The composition root: what each command builds, starts and stops.

mod audit;
mod bench;
mod call;
mod campaign;
mod check;
mod clock;
mod console;
mod demo;
mod house;
mod import;
mod key;
mod ladder;
mod listen;
mod plan;
mod rekey;
mod service;
mod simulated;
mod staff;
mod state;
mod stop;
mod table;
mod talk;
mod today;
mod told;
mod usage;
mod views;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::base::Private;
use crate::config::{Config, Fault};
use crate::store::Store;

pub use self::told::told;
pub use self::usage::{NoCommand, parse};

/// 見守りコール: 自宅で療養する人に電話をかけ、体調をたずね、急ぎの知らせを届けます。
///
/// Telephones people who recuperate at home, asks how they are, and raises the alarm.
#[derive(Debug, Parser)]
#[command(name = "mimamori", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 設定なしで試す: 模擬の保健所・電話会社・患者 / Try it: a simulated centre, carrier and patients
    Demo(demo::Options),
    /// サービスを動かす / Run the service
    Run(service::Options),
    /// すべての架電をただちに止める / Stop all calls at once, on every node
    Stop(stop::Options),
    /// 止めた架電を再開する / Let calls begin again
    Resume(stop::Options),
    /// 職員の画面だけを動かす / Serve the staff console alone
    Console(Configured),
    /// いま一件だけ電話をかけ、経過を表示する / Place one interview now and print it as it goes
    Call(call::Options),
    /// 端末で問診を試す(キーを入力) / Hold the interview in the terminal, typing keys
    Talk(talk::Options),
    /// 患者一覧(CSV)を取り込む / Import a patient list (CSV)
    Import(import::Options),
    /// 健康状態一覧と観察記録 / List the state of health and the observations
    Observations(views::ObservationsOptions),
    /// 対応が必要なケース / List the cases that need a human
    Cases(views::CasesOptions),
    /// 安否確認の一覧 / List those of whom nothing was heard today
    Welfare(views::CenterOptions),
    /// 療養解除の候補 / List who may be released, and what is in the way
    Release(views::CenterOptions),
    /// 録音を聞く / Hear a recording
    Listen(listen::Options),
    /// 録音の鍵を新しくする(古い録音も聞ける) / New keys for recordings from now on
    Rekey(Configured),
    /// 設定・音声・問診票・データベース・回線を一度に点検する / Check everything at once
    Check(Configured),
    /// 架電計画を見る・始める・止める / See, start and stop campaigns
    Campaign(campaign::Options),
    /// 一人の一日: いつ電話するか、なぜしないか / One patient's day: when we call, or why not
    Plan(plan::Options),
    /// 朝の点検: 今日架電できるか(0: できる、1: できない、2: 誤り) / Go or no-go: whether calls can be
    /// placed today (exit status 0: yes, 1: no, 2: an error)
    Today(today::Options),
    /// 職員のアカウント / Accounts of the staff
    Staff(staff::Options),
    /// 監査の記録を検証・書き出す / Verify or export the chain of events
    Audit(audit::Options),
    /// 同時通話の測定 / Measure simultaneous interviews on this machine
    Bench(bench::Options),
}

/// A command that needs the configuration file.
#[derive(Args, Clone, Debug)]
struct Configured {
    /// 設定ファイル / The configuration file
    #[arg(long, short, default_value = "mimamori.toml", env = "MIMAMORI_CONFIG")]
    config: PathBuf,
    /// データベース(設定より優先) / The database, instead of the configured one:
    /// a file, or postgres://…
    #[arg(long, env = "MIMAMORI_DATABASE", hide_env_values = true)]
    database: Option<Private<String>>,
}

impl Configured {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(self.with_database(Config::load(&self.config)?))
    }

    /// What is configured, and what of it cannot be meant.
    fn survey(&self) -> anyhow::Result<(Config, Vec<Fault>)> {
        let (config, faults) = Config::survey(&self.config)?;
        Ok((self.with_database(config), faults))
    }

    fn with_database(&self, mut config: Config) -> Config {
        if let Some(database) = &self.database {
            config.database.clone_from(database);
        }
        config
    }

    /// Makes the centres of the configuration known to the store, as when the service starts.
    async fn introduce_centers(&self, store: &Store) -> anyhow::Result<()> {
        if self.database.is_some() && !self.config.exists() {
            return Ok(());
        }
        let now = clock::host().now().timestamp;
        for settings in &Config::load(&self.config)?.health_centers {
            let center = house::health_center(settings, store.mint(now));
            store.save_health_center(now, &center).await?;
        }
        Ok(())
    }

    /// The database alone: with `--database` no configuration is needed.
    fn database_or_configured(&self) -> anyhow::Result<Private<String>> {
        match &self.database {
            Some(database) => Ok(database.clone()),
            None => Ok(Config::load(&self.config)?.database),
        }
    }
}

/// Opens the store with ids that nobody can guess.
async fn open_store(database: &Private<String>) -> anyhow::Result<Store> {
    Store::open(database.expose(), seed()?)
        .await
        .context("データベースを開けません / cannot open the database")
}

/// Randomness from the operating system.
fn seed() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    SysRng
        .try_fill_bytes(&mut seed)
        .context("システムから乱数を得られません / the system gives no random numbers")?;
    Ok(seed)
}

impl Arguments {
    /// What is logged unless `RUST_LOG` says otherwise: commands that print for a person log
    /// only what is wrong.
    pub fn log_filter(&self) -> &'static str {
        match self.command {
            Command::Run(_) | Command::Console(_) => "info",
            _ => "warn",
        }
    }
}

/// Carries out one command.
///
/// # Errors
/// With the whole chain of causes, to be printed once.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Run(options) => service::run(options).await,
        Command::Stop(options) => stop::run(options, false).await,
        Command::Resume(options) => stop::run(options, true).await,
        Command::Console(configured) => console::run(configured.load()?).await,
        Command::Call(options) => Box::pin(call::run(options)).await,
        Command::Talk(options) => talk::run(&options),
        Command::Import(options) => import::run(options).await,
        Command::Observations(options) => views::observations(options).await,
        Command::Cases(options) => views::cases(options).await,
        Command::Welfare(options) => views::welfare(options).await,
        Command::Release(options) => views::releases(options).await,
        Command::Listen(options) => listen::run(options).await,
        Command::Rekey(configured) => rekey::run(configured.load()?).await,
        Command::Check(configured) => check::run(&configured).await,
        Command::Campaign(options) => campaign::run(options).await,
        Command::Plan(options) => plan::run(options).await,
        Command::Today(options) => Ok(today::run(options).await),
        Command::Staff(options) => staff::run(options).await,
        Command::Audit(options) => audit::run(options).await,
        Command::Bench(options) => bench::run(options).await,
    }
}
