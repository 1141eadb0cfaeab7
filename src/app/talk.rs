//! `mimamori talk`: the interview in the terminal, keys typed, prompts printed, in virtual time.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::app::{clock, seed};
use crate::base::id::Minter;
use crate::base::{Digit, Now};
use crate::call::Respondent;
use crate::escalation::RuleSet;
use crate::escalation::evaluate::{PatientFacts, concern, evaluate};
use crate::escalation::rule::RuleBook;
use crate::ivr::script::Recorder;
use crate::ivr::{
    Catalog, Concern, Entry, Input, Output, Profile, Questionnaire, Script, Session, parse,
};
use crate::observation::derive::{self, Derived, derive};
use crate::observation::{Channel, Observation};

/// Which interview `mimamori talk` holds.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Options {
    /// 問診票(省略すると同梱のもの) / A questionnaire instead of the shipped one
    questionnaire: Option<PathBuf>,
    /// どの問診か / Which script
    #[arg(long, value_enum, default_value = "full")]
    script: ScriptName,
    /// ゆっくり話す / Speak slowly and wait longer
    #[arg(long)]
    slow: bool,
    /// パルスオキシメーターなし / No pulse oximeter
    #[arg(long)]
    no_oximeter: bool,
    /// 体温計なし / No thermometer
    #[arg(long)]
    no_thermometer: bool,
    /// 家族が答えてよい / A member of the family may answer
    #[arg(long)]
    family: bool,
    /// 終わったら対話をテストの形で表示する / Print the finished dialogue as a test
    #[arg(long)]
    repro: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScriptName {
    Full,
    Short,
    Remeasure,
}

/// A finger needs this long from key to key.
const BETWEEN_KEYS: Duration = Duration::from_millis(400);

/// Time passes so much while something is said; long enough that it may be cut.
const SAYING: Duration = Duration::from_secs(3);

/// Holds one interview: a line of keys answers, an empty line is silence, `h` hangs up.
pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let catalog = Catalog::embedded();
    let questionnaire = match &options.questionnaire {
        None => Questionnaire::recuperation(),
        Some(path) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{shown} を読めません / cannot read {shown}"))?;
            Arc::new(parse::questionnaire(&text, &catalog).with_context(|| format!("{shown}"))?)
        }
    };
    let now = clock::host().now();
    let book = RuleBook::shipped()?;
    let rules = book
        .effective_on(now.date())
        .context("今日有効なルールがありません / no rules are in force today")?;
    let profile = Profile {
        script: match options.script {
            ScriptName::Full => Script::Full,
            ScriptName::Short => Script::Short,
            ScriptName::Remeasure => Script::Remeasure,
        },
        slow_speech: options.slow,
        has_oximeter: !options.no_oximeter,
        has_thermometer: !options.no_thermometer,
        family_may_answer: options.family,
        today: now.date(),
        ..Profile::invented()
    };
    println_to_person(
        "架空の患者: ヤマダ様、誕生日 7月5日(0705) / an invented patient, born on 5 July (0705)\n\
         キーを入力して Enter。空行 = 沈黙、h = 切る / type keys and Enter; an empty line is \
         silence, h hangs up\n",
    )?;
    let mut conversation = Conversation {
        recorder: Recorder::new(profile.clone()),
        session: Session::new(Arc::clone(&questionnaire), profile),
        catalog: &catalog,
        rules,
        key: questionnaire.key(),
        minter: Minter::new(seed()?),
        observed: Vec::new(),
        now,
        deadline: None,
        has_spoken: false,
        is_saying: false,
        is_over: false,
    };
    conversation.feed(Input::Answered)?;
    let mut lines = std::io::stdin().lock().lines();
    while conversation.listen()? {
        print_prompt()?;
        match lines.next().transpose()?.as_deref().map(str::trim) {
            None | Some("h") => conversation.feed(Input::HungUp)?,
            Some("") => conversation.be_silent()?,
            Some(keys) => {
                for key in keys.chars().filter(|key| !key.is_whitespace()) {
                    match Digit::from_char(key) {
                        Some(digit) if !conversation.is_over => {
                            conversation.now = conversation.now.later(BETWEEN_KEYS);
                            conversation.feed(Input::Digit(digit))?;
                        }
                        Some(_) => {}
                        None => println_to_person(&format!(
                            "{key:?} は電話のキーではありません / is no key of a telephone"
                        ))?,
                    }
                }
            }
        }
    }
    let session = &conversation.session;
    println_to_person(&format!(
        "\n回答者 / respondent: {}   到達 / completion: {}",
        session.respondent().as_str(),
        session.completion().as_str()
    ))?;
    if options.repro {
        let dialogue = conversation.recorder.into_dialogue();
        let played = dialogue.play(questionnaire, &catalog, now);
        println_to_person(&format!("\n{played}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One interview, with a person at the keyboard.
struct Conversation<'a> {
    session: Session,
    recorder: Recorder,
    catalog: &'a Catalog,
    rules: &'a RuleSet,
    key: String,
    minter: Minter,
    observed: Vec<Observation>,
    now: Now,
    deadline: Option<std::time::Instant>,
    /// The greeting has begun: until then only time passes.
    has_spoken: bool,
    is_saying: bool,
    is_over: bool,
}

impl Conversation<'_> {
    fn feed(&mut self, input: Input) -> anyhow::Result<()> {
        self.is_over |= matches!(input, Input::HungUp);
        self.recorder.note_input(input);
        self.session.handle_input(self.now, input);
        loop {
            let output = self.session.poll_output();
            self.recorder.note_output(&output);
            match output {
                Output::Say(said) => {
                    self.has_spoken = true;
                    self.is_saying = true;
                    for utterance in said {
                        println_to_person(&format!("☎ {}", self.catalog.written(&utterance)))?;
                    }
                }
                Output::StopSaying => self.is_saying = false,
                Output::Identified(respondent) => {
                    println_to_person(&format!("  [確認 / identified: {}]", respondent.as_str()))?;
                }
                Output::Record(entry) => {
                    let concern = self.weigh(&entry);
                    self.recorder.note_concern(&entry, concern);
                    println_to_person(&format!(
                        "  [記録 / recorded: {} = {}, {concern:?}]",
                        entry.question,
                        entry.answer.to_text()
                    ))?;
                    self.session.handle_input(self.now, Input::Recorded(concern));
                }
                Output::BeginMessage => println_to_person("  [聞いています / listening]")?,
                Output::EndMessage(_) => println_to_person("  [ここまで / that was it]")?,
                Output::HangUp => {
                    self.is_over = true;
                    println_to_person("  [切断 / hung up]")?;
                }
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return Ok(());
                }
            }
        }
    }

    /// Lets everything be said to its end. `false` once the call is over.
    fn listen(&mut self) -> anyhow::Result<bool> {
        while !self.is_over {
            if self.is_saying {
                self.is_saying = false;
                self.now = self.now.later(SAYING);
                self.feed(Input::PlayEnded)?;
            } else if !self.has_spoken {
                self.be_silent()?;
            } else {
                break;
            }
        }
        Ok(!self.is_over)
    }

    fn be_silent(&mut self) -> anyhow::Result<()> {
        if let Some(deadline) = self.deadline {
            let wait = deadline.saturating_duration_since(self.now.instant);
            self.now = self.now.later(wait);
        }
        self.feed(Input::Timeout)
    }

    fn weigh(&mut self, entry: &Entry) -> Concern {
        let context = derive::Context {
            patient: self.minter.mint(self.now.timestamp),
            slot: None,
            attempt: self.minter.mint(self.now.timestamp),
            respondent: Respondent::Patient,
            channel: Channel::OutboundCall,
            questionnaire: self.key.clone(),
        };
        let id = self.minter.mint(self.now.timestamp);
        if let Derived::Observed(observation) = derive(&context, entry, id) {
            self.observed.push(observation);
        }
        concern(&evaluate(self.rules, PatientFacts::default(), &[], &self.observed))
    }
}

fn println_to_person(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn print_prompt() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    if std::io::stdin().is_terminal() {
        write!(out, "> ")?;
        out.flush()?;
    }
    Ok(())
}
