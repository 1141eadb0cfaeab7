//! An answered line ⇄ the dialogue. Each answer is committed before the next question is asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::civil::DateTime;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, warn};

use crate::base::Now;
use crate::base::clock::civil;
use crate::call::{
    Carrier, Clip, Completion, Disposition, Ended, Line, LineEvent, Respondent, Timeline,
};
use crate::campaign::{Book, NewSlot, SlotKind, Terms};
use crate::escalation::RuleSet;
use crate::escalation::evaluate::{PatientFacts, concern, evaluate};
use crate::ivr::session::{Input, Output, Profile, Session, utterances};
use crate::ivr::{Concern, Entry, Questionnaire, Script, Utterance};
use crate::observation::derive::{self, Derived, derive};
use crate::observation::{Channel, Observation};
use crate::prompt::Pace;
use crate::registry::PhoneRole;
use crate::store::Claim;
use crate::worker::dial::{Lease, claimant};
use crate::worker::follow_up::Ahead;
use crate::worker::track::Track;
use crate::worker::{LOOK_BACK, Road, Step, rules, takes};

/// How long a call that is about to end waits for word of the household.
const PATIENCE: Duration = Duration::from_secs(1);

/// An interview that is ready to begin: everything that it may say can be said.
pub(super) struct Interview {
    session: Session,
    /// What is asked, as answers name it.
    questionnaire: String,
    pace: Pace,
    rules: Arc<RuleSet>,
    /// What was observed of the patient before this call.
    history: Vec<Observation>,
    /// What was observed in this call so far.
    observed: Vec<Observation>,
    /// An answer of this call was an emergency.
    alarmed: bool,
    /// What the call may bring.
    ahead: Ahead,
    /// Another of the household is to be asked on the same line.
    goes_on: bool,
    /// The call's recording, if there is one.
    pub(super) track: Track,
}

/// What the dialogue came to.
pub(super) struct Talked<L> {
    /// How the telephone part ended.
    pub(super) ended: Ended,
    /// Who answered.
    pub(super) respondent: Respondent,
    /// How far the dialogue came.
    pub(super) completion: Completion,
    /// What was answered.
    pub(super) given: Given,
    /// The call's recording.
    pub(super) track: Track,
    /// The line, if another of the household is to be asked on it.
    pub(super) line: Option<L>,
}

/// What was answered in a call, as far as other calls follow from it.
pub(super) struct Given {
    /// The answers.
    pub(super) answers: Vec<Entry>,
    /// One was an emergency: staff call now, and no machine.
    pub(super) alarmed: bool,
    /// What the call may bring.
    pub(super) ahead: Ahead,
}

/// Makes everything ready that the interview may need, before the telephone rings.
///
/// # Errors
/// If something that may have to be said cannot be said, or the store is away.
pub(super) async fn prepare<C: Carrier>(
    road: &Road<C>,
    claim: &Claim,
    now: Now,
) -> anyhow::Result<Interview> {
    takes::refresh(&road.store, &road.library).await?;
    let terms = claim.terms.as_ref().unwrap_or(&road.config.terms);
    let questionnaire = questionnaire(road, terms)?;
    let track = Track::prepare(road, claim, &questionnaire, now).await;
    let center = claim.health_center.id;
    let rules = rules::in_force(road, center, now.date(), terms.rules.as_deref()).await?;
    let book = road.store.campaigns(now.timestamp).await?;
    let script = script(claim, terms, &questionnaire);
    let mut profile = profile(claim, now, &track, script);
    let ahead = Ahead::new(road, &book, claim, &questionnaire, now);
    profile.remeasure = ahead.remeasure(road);
    profile.next_call = next_call(&book, claim, now, &road.config.terms);
    // No key is offered that would raise no alarm.
    let help = questionnaire.help.as_ref();
    profile.takes_help = help.is_some_and(|help| rules.knows(&help.code));
    let needed = utterances(&questionnaire, &profile);
    let pace = if claim.patient.slow_speech { Pace::Slow } else { Pace::Normal };
    let library = Arc::clone(&road.library);
    tokio::task::spawn_blocking(move || library.prepare(&needed, pace))
        .await
        .context("the speech of the interview broke off")?
        .context("the interview cannot be spoken")?;
    let since = now.timestamp - LOOK_BACK;
    let mut history = road.store.history(claim.patient.id, since).await?;
    // What this slot's earlier attempts observed belongs to the present report.
    let observed =
        history.extract_if(.., |observation| observation.slot == Some(claim.slot.id)).collect();
    let key = questionnaire.key();
    Ok(Interview {
        session: match claim.continues {
            None => Session::new(questionnaire, profile),
            Some(_) => Session::following(questionnaire, profile),
        },
        questionnaire: key,
        goes_on: false,
        pace,
        rules: Arc::new(rules),
        history,
        observed,
        alarmed: false,
        ahead,
        track,
    })
}

/// What the terms want asked. Never another one in its place: whoever reads the answers must know to
/// which questions they were given.
///
/// # Errors
/// If the installation does not have it. Such calls are not claimed, so that it can only happen when
/// terms were published in between.
fn questionnaire<C>(road: &Road<C>, terms: &Terms) -> anyhow::Result<Arc<Questionnaire>> {
    let named = road.questionnaires.named(&terms.questionnaire);
    named.cloned().with_context(|| format!("there is no questionnaire {}", terms.questionnaire))
}

/// Holds the dialogue until the line is gone. What was answered is committed as it is given.
pub(super) async fn hold<C: Carrier>(
    road: &Road<C>,
    claim: &Claim,
    mut interview: Interview,
    mut line: C::Line,
) -> Talked<C::Line> {
    let attempt = claim.attempt.id;
    let patient = claim.patient.id;
    let mut lease = Lease::new(road);
    // Whoever is asked next on the same line may never come to the telephone.
    if claim.continues.is_none() {
        interview.track.begin(road).await;
    }
    interview.session.handle_input(road.clock.now(), Input::Answered);
    loop {
        // Do all that the session asks for before hearing anything new.
        let deadline = loop {
            match interview.session.poll_output() {
                Output::Say(mut said) => {
                    interview.leave_out_goodbye(road, claim, &mut said).await;
                    line.play(interview.clips(road, &said));
                    interview.track.said(&said);
                    road.progress.tell(attempt, patient, Step::Saying(said));
                }
                Output::StopSaying => line.stop_playing(),
                Output::Identified(respondent) => {
                    interview.track.begin(road).await;
                    interview.track.identified(respondent);
                    road.progress.tell(attempt, patient, Step::Identified(respondent));
                }
                Output::Record(entry) => {
                    let input = interview.record(road, claim, &entry).await;
                    if let Input::Recorded(concern) = input {
                        interview.track.answered(&entry, concern);
                        interview.track.flush(road).await;
                        road.progress.tell(attempt, patient, Step::Stored(entry));
                    }
                    interview.session.handle_input(road.clock.now(), input);
                }
                Output::BeginMessage => interview.track.begin_message(),
                Output::EndMessage(message) => {
                    interview.track.end_message(road, message).await;
                }
                Output::HangUp if interview.goes_on => {
                    let timeline =
                        Timeline { ended: Some(road.clock.now().timestamp), ..Timeline::default() };
                    let disposition = Disposition::Answered;
                    let ended = Ended { disposition, code: None, timeline };
                    let talked = interview.end(road, claim, ended).await;
                    return Talked { line: Some(line), ..talked };
                }
                Output::HangUp => {
                    interview.track.hang_up();
                    line.hang_up();
                }
                Output::Wait(deadline) => break deadline,
            }
        };
        let input = tokio::select! {
            // A key that was pressed in time counts, also if the deadline has come meanwhile.
            biased;
            event = line.next_event() => match event {
                LineEvent::Digit(digit) => {
                    interview.track.pressed(digit);
                    road.progress.tell(attempt, patient, Step::Key);
                    Input::Digit(digit)
                }
                LineEvent::PlayEnded => Input::PlayEnded,
                LineEvent::Heard(heard) => Input::Heard(heard),
                LineEvent::Ended(ended) => {
                    interview.session.handle_input(road.clock.now(), Input::HungUp);
                    return interview.end(road, claim, ended).await;
                }
                // It was answered already.
                LineEvent::Ringing | LineEvent::Answered => continue,
            },
            () = sleep_until(deadline.map_or_else(far, Instant::from_std)), if deadline.is_some() => {
                Input::Timeout
            }
            () = lease.is_due() => {
                if lease.extend(road, claim).await.is_err() {
                    line.hang_up();
                }
                continue;
            }
        };
        interview.session.handle_input(road.clock.now(), input);
    }
}

impl Interview {
    /// Takes the farewell out of the words that close the call, if another of the household is to
    /// be asked on the same line. Who was told to call for help must have the line free.
    async fn leave_out_goodbye<C>(
        &mut self,
        road: &Road<C>,
        claim: &Claim,
        said: &mut Vec<Utterance>,
    ) {
        let is_closing = said.len() > 1 && said.last().is_some_and(|it| it.prompt == "goodbye");
        let is_complete = self.session.completion() == Completion::Complete;
        if !is_closing || !is_complete || self.alarmed || claim.slot.kind == SlotKind::ByHand {
            return;
        }
        let now = road.clock.now().timestamp;
        let claimant = claimant(road, None);
        let waits = road.store.household_waits(now, &claimant, claim.attempt.id);
        // Whatever is wrong with the store, this call comes to its end.
        if matches!(timeout(PATIENCE, waits).await, Ok(Ok(true))) {
            said.pop();
            self.goes_on = true;
        }
    }

    fn clips<C>(&self, road: &Road<C>, said: &[Utterance]) -> Vec<Arc<Clip>> {
        said.iter()
            .filter_map(|utterance| {
                let clip = road.library.clip(utterance, self.pace);
                if clip.is_none() {
                    // `prepare` and the session's own list of utterances exclude it.
                    error!(prompt = utterance.prompt, "a prompt was not ready");
                }
                clip
            })
            .collect()
    }

    /// Commits an answer, and tells the session how much it weighs.
    async fn record<C>(&mut self, road: &Road<C>, claim: &Claim, entry: &Entry) -> Input {
        let started = road.clock.now().instant;
        let respondent = self.session.respondent();
        loop {
            let now = road.clock.now();
            let stored = road.store.record_answer(
                now.timestamp,
                claim.attempt.id,
                entry,
                respondent,
                &self.questionnaire,
            );
            let stored = stored.await;
            let waited = road.clock.now().instant - started;
            match stored {
                Ok(()) => return Input::Recorded(self.weigh(road, claim, entry, now)),
                Err(error) if error.may_retry() && waited < road.config.patience_with_store => {
                    warn!(attempt = %claim.attempt.id, %error, "cannot store an answer yet");
                    sleep(Duration::from_millis(200)).await;
                }
                Err(error) => {
                    error!(attempt = %claim.attempt.id, %error, "cannot store an answer");
                    return Input::NotRecorded;
                }
            }
        }
    }

    /// What the rules make of the call so far. The case itself is made by `escalate`, from the
    /// store; here only the words are chosen that the patient must hear.
    fn weigh<C>(&mut self, road: &Road<C>, claim: &Claim, entry: &Entry, now: Now) -> Concern {
        let context = derive::Context {
            patient: claim.patient.id,
            slot: Some(claim.slot.id),
            attempt: claim.attempt.id,
            respondent: self.session.respondent(),
            channel: Channel::OutboundCall,
            questionnaire: self.questionnaire.clone(),
        };
        match derive(&context, entry, road.store.mint(now.timestamp)) {
            Derived::Observed(observation) => self.observed.push(observation),
            Derived::Unanswered { .. } => return Concern::None,
        }
        let traits = PatientFacts::of(&claim.patient, now.date());
        let facts = evaluate(&self.rules, traits, &self.history, &self.observed);
        let concern = concern(&facts);
        self.alarmed |= concern == Concern::Emergency;
        concern
    }

    /// Stores what the session still wants to store once the far end is gone.
    async fn end<C, L>(mut self, road: &Road<C>, claim: &Claim, ended: Ended) -> Talked<L> {
        loop {
            match self.session.poll_output() {
                Output::Record(entry) => {
                    let input = self.record(road, claim, &entry).await;
                    self.session.handle_input(road.clock.now(), input);
                }
                Output::EndMessage(message) => self.track.end_message(road, message).await,
                Output::Wait(_) => break,
                Output::Say(_)
                | Output::StopSaying
                | Output::Identified(_)
                | Output::BeginMessage
                | Output::HangUp => {}
            }
        }
        let (respondent, completion) = (self.session.respondent(), self.session.completion());
        self.track.ended(ended.disposition);
        let answers = self.session.transcript().to_vec();
        let Self { alarmed, ahead, track, .. } = self;
        let given = Given { answers, alarmed, ahead };
        Talked { ended, respondent, completion, given, track, line: None }
    }
}

/// A deadline that is never waited for; `select!` wants some instant.
fn far() -> Instant {
    Instant::now()
}

fn profile(claim: &Claim, now: Now, track: &Track, script: Script) -> Profile {
    let patient = &claim.patient;
    let born = patient.birth_date.expose();
    // Within a household the family name tells nobody who is meant.
    let mut names = patient.kana.expose().split([' ', '　']);
    let family_name = match claim.continues {
        None => names.next().unwrap_or_default().to_owned(),
        Some(_) => names.collect(),
    };
    Profile {
        health_center: claim.health_center.kana.clone(),
        desk_phone: claim.health_center.desk_phone.clone(),
        family_name: family_name.into(),
        birth: (born.month(), born.day()).into(),
        has_thermometer: patient.has_thermometer,
        has_oximeter: patient.has_oximeter,
        slow_speech: patient.slow_speech,
        script,
        family_may_answer: patient.phones.iter().any(|phone| phone.role == PhoneRole::Family),
        answered: claim
            .answered
            .iter()
            .map(|entry| (entry.question.clone(), entry.answer))
            .collect(),
        next_call: None,
        remeasure: None,
        has_open_case: claim.has_open_case,
        today: now.date(),
        leave_message: false,
        is_recorded: track.is_announced(),
        takes_messages: track.takes_messages(),
        takes_help: false,
    }
}

/// What is asked: everything, unless the campaign's terms want it short and the questionnaire has a
/// short form. Staff who ask for a call want to hear everything.
fn script(claim: &Claim, terms: &Terms, questionnaire: &Questionnaire) -> Script {
    let rule = terms.short_script;
    let day = (claim.slot.date - claim.episode.first_day).get_days() + 1;
    let wanted = match claim.slot.kind {
        SlotKind::Remeasure => Script::Remeasure,
        SlotKind::Farewell => Script::Farewell,
        SlotKind::Recall => Script::Short,
        SlotKind::Planned if rule.is_short(claim.slot.number, day) => Script::Short,
        SlotKind::Planned | SlotKind::ByHand => Script::Full,
    };
    // A call that asks nothing would count as a report.
    match wanted {
        Script::Short | Script::Remeasure if !questionnaire.has(wanted) => Script::Full,
        wanted => wanted,
    }
}

/// When the next planned call comes, if there is one before the observation ends.
fn next_call(book: &Book, claim: &Claim, now: Now, standing: &Arc<Terms>) -> Option<DateTime> {
    // A retry of this slot is no new call, so look beyond its window.
    let after = now.timestamp.max(claim.slot.due_from);
    let is_off = |slot: &NewSlot| {
        claim.pauses.iter().any(|days| days.contains(&slot.date))
            || claim.settled.contains(&(slot.date, slot.number))
    };
    let next = book.next_planned(&claim.episode, &claim.health_center, standing, after, is_off);
    next.map(|slot| civil(slot.due_from))
}
