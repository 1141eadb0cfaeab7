//! The words around the commands: help and usage errors, Japanese first with English beside.
//!
//! clap's own words are English. Its headings and remarks are replaced here, and its errors told by
//! their kind; what stands in a usage line (`[OPTIONS]`) is left as every manual has it.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use crate::app::Arguments;
use crate::base::Bilingual;

const TEMPLATE: &str = "\
{before-help}{about-with-newline}
使い方 / Usage: {usage}

{all-args}{after-help}";

const COMMANDS: &str = "コマンド / Commands";
const ARGUMENTS: &str = "引数 / Arguments";
const OPTIONS: &str = "オプション / Options";

/// Nothing is to be done: help was asked for, or the arguments are no command.
#[derive(Debug)]
pub struct NoCommand {
    /// What to tell.
    pub text: String,
    /// It was asked for: to the standard output, and no failure.
    pub is_help: bool,
}

impl NoCommand {
    /// Tells it, and how the program ends.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "for who typed the command")]
    pub fn tell(&self) -> ExitCode {
        if self.is_help {
            print!("{}", self.text);
            return ExitCode::SUCCESS;
        }
        eprintln!("{}", self.text);
        // As every command line has it.
        ExitCode::from(2)
    }
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// With what to tell instead.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Arguments, NoCommand> {
    let mut command = localized(built());
    let matches = command.try_get_matches_from_mut(line);
    let arguments = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
    arguments.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            NoCommand { text: error.render().to_string(), is_help: true }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            NoCommand { text: error.render().to_string(), is_help: false }
        }
        _ => NoCommand { text: told(&error), is_help: false },
    })
}

/// The command with all that clap adds by itself.
fn built() -> Command {
    let mut command = Arguments::command();
    command.build();
    command
}

fn localized(command: Command) -> Command {
    let command = command
        .help_template(TEMPLATE)
        .subcommand_help_heading(COMMANDS)
        .mut_args(localized_arg)
        .mut_subcommands(localized);
    if command.get_name() == "help" {
        return command.about("コマンドの説明を表示する / Print the help of a command");
    }
    command
}

fn localized_arg(arg: Arg) -> Arg {
    let arg = match arg.get_id().as_str() {
        "help" => says(arg, "説明を表示する / Print help"),
        "version" => says(arg, "版を表示する / Print version"),
        _ => with_remarks(arg),
    };
    let heading = if arg.is_positional() { ARGUMENTS } else { OPTIONS };
    arg.help_heading(heading)
}

fn says(arg: Arg, help: &'static str) -> Arg {
    arg.help(help).long_help(help)
}

/// What clap would remark in English: the default, the variable, the values that there are.
fn with_remarks(arg: Arg) -> Arg {
    let mut remarks = Vec::new();
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    // A flag is not set unless it is given; nobody has to be told.
    if arg.get_action().takes_values() && defaults.iter().any(|value| !value.is_empty()) {
        remarks.push(format!("[既定 / default: {}]", defaults.join(" ")));
    }
    if let Some(variable) = arg.get_env() {
        remarks.push(format!("[環境変数 / env: {}]", variable.to_string_lossy()));
    }
    let values: Vec<_> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        remarks.push(format!("[選択肢 / values: {}]", values.join(", ")));
    }
    let remarks = remarks.join(" ");
    let with = |help: String| format!("{help} {remarks}").trim().to_owned();
    let help = with(arg.get_help().map(ToString::to_string).unwrap_or_default());
    let long = arg.get_long_help().map(|help| with(help.to_string()));
    let arg = arg.hide_default_value(true).hide_env(true).hide_possible_values(true).help(help);
    match long {
        Some(long) => arg.long_help(long),
        None => arg,
    }
}

/// The error by its kind, what was probably meant, and the usage.
fn told(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(shown);
    let mut lines = vec![format!("mimamori: {}", problem(error))];
    let meant = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand];
    for meant in meant.into_iter().filter_map(context) {
        lines.push(format!("  もしかして / did you mean: {meant}"));
    }
    if let Some(values) = context(ContextKind::ValidValue) {
        lines.push(format!("  選択肢 / values: {values}"));
    }
    if let Some(usage) = context(ContextKind::Usage) {
        let usage = usage.trim().trim_start_matches("Usage:").trim().to_owned();
        lines.push(format!("使い方 / Usage: {usage}"));
    }
    lines.push("詳しくは --help / for more, try --help".to_owned());
    lines.join("\n")
}

fn problem(error: &clap::Error) -> Bilingual {
    let context = |kind| error.get(kind).map(shown).unwrap_or_default();
    let (arg, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    let two = |ja: String, en: String| Bilingual::composed(ja, en);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            two(format!("{arg} という引数はありません"), format!("unexpected argument {arg}"))
        }
        ErrorKind::InvalidSubcommand => {
            let name = context(ContextKind::InvalidSubcommand);
            two(format!("{name} というコマンドはありません"), format!("no such command: {name}"))
        }
        ErrorKind::MissingRequiredArgument => {
            two(format!("{arg} が要ります"), format!("{arg} is required"))
        }
        ErrorKind::MissingSubcommand => {
            two("コマンドを書いてください".to_owned(), "a command is needed".to_owned())
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            two(
                format!("{arg} は {other} と一緒に使えません"),
                format!("{arg} cannot be used with {other}"),
            )
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            two(format!("{arg} に値が要ります"), format!("{arg} needs a value"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error);
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            two(
                format!("{arg} に {value} は使えません"),
                format!("{value} is no value for {arg}{why}"),
            )
        }
        ErrorKind::NoEquals => {
            two(format!("{arg} は = のあとに値を書いてください"), format!("write {arg} with ="))
        }
        ErrorKind::TooManyValues => two(
            format!("{arg} の値が多すぎます({value})"),
            format!("{arg} takes no such value: {value}"),
        ),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => two(
            format!("{arg} の値の数が違います"),
            format!("{arg} takes another number of values"),
        ),
        ErrorKind::InvalidUtf8 => {
            two("UTF-8 ではない文字があります".to_owned(), "this is not UTF-8".to_owned())
        }
        _ => two("コマンドを読めません".to_owned(), error.kind().to_string()),
    }
}

fn shown(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(all) => all.join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &str) -> Result<Arguments, NoCommand> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn refused(text: &str) -> String {
        let refused = line(text).expect_err("no command");
        assert!(!refused.is_help, "{text}");
        refused.text
    }

    fn help(text: &str) -> String {
        let help = line(text).expect_err("help");
        assert!(help.is_help, "{text}");
        help.text
    }

    /// What clap says in English alone.
    const CLAPS: [&str; 11] = [
        "\nUsage:",
        "\nOptions:",
        "\nCommands:",
        "\nArguments:",
        "  Print ",
        "[default:",
        "[env:",
        "[possible values:",
        "error:",
        "tip:",
        "For more information",
    ];

    fn every_command(command: &Command, name: &str, each: &mut impl FnMut(&str)) {
        each(name);
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            every_command(sub, &format!("{name} {}", sub.get_name()), each);
        }
    }

    #[test]
    fn the_help_of_every_command_is_japanese_first() {
        let mut n_commands = 0;
        every_command(&Arguments::command(), "mimamori", &mut |name| {
            n_commands += 1;
            for flag in ["-h", "--help"] {
                let text = help(&format!("{name} {flag}"));
                assert!(text.contains("使い方 / Usage: mimamori"), "{text}");
                assert!(text.contains("オプション / Options:"), "{text}");
                assert!(text.contains("説明を表示する / Print help"), "{text}");
                for english in CLAPS {
                    assert!(!text.contains(english), "{name} {flag}: {english:?}\n{text}");
                }
            }
        });
        assert!(n_commands > 20, "{n_commands}");
        let text = help("mimamori --help");
        assert!(text.contains("コマンド / Commands:") && text.contains("--version"), "{text}");
        assert!(help("mimamori help run").contains("サービスを動かす"));
        let text = help("mimamori run --help");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let remarks = "[既定 / default: mimamori.toml] [環境変数 / env: MIMAMORI_CONFIG]";
        assert!(text.contains(remarks), "{text}");
        assert!(help("mimamori talk -h").contains("[選択肢 / values: full, short"));
        assert!(help("mimamori --version").starts_with("mimamori "));
    }

    #[test]
    fn a_usage_error_says_in_both_languages_what_is_wrong() {
        for (text, ja, en) in [
            (
                "mimamori run --confg x",
                "--confg という引数はありません",
                "unexpected argument --confg",
            ),
            ("mimamori rn", "rn というコマンドはありません", "no such command: rn"),
            ("mimamori call", "が要ります", "is required"),
            ("mimamori talk --script=long", "long は使えません", "long is no value"),
            ("mimamori demo --patients=0", "0 は使えません", "0 is no value"),
            ("mimamori run --config", "に値が要ります", "needs a value"),
            ("mimamori talk --slow=yes", "の値が多すぎます", "takes no such value"),
        ] {
            let told = refused(text);
            let first = told.lines().next().unwrap_or_default();
            assert!(first.starts_with("mimamori: "), "{told}");
            assert!(first.contains(ja) && first.contains(en), "{text}\n{told}");
            assert!(told.contains("詳しくは --help"), "{told}");
            for english in CLAPS {
                assert!(!told.contains(english), "{text}: {english:?}\n{told}");
            }
        }
        assert!(refused("mimamori run --confg x").contains("did you mean: --config"));
        assert!(refused("mimamori talk --script=long").contains("values: full"));
        assert!(refused("mimamori").contains("使い方 / Usage: mimamori"), "help instead");
    }

    #[test]
    fn a_command_is_read_as_before() {
        assert!(line("mimamori talk --script short --slow").is_ok());
        assert!(line("mimamori run --config other.toml").is_ok());
    }
}
