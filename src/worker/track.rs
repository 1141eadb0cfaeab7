//! The recording of one call: made ready before it is placed, marked while it goes on, handed over
//! when it is over.
//!
//! Nothing here may harm the call: what fails is logged, and the call goes on without a recording.

use std::time::Duration;

use anyhow::Context;
use tokio::time::timeout;
use tracing::{error, warn};

use crate::base::{Digit, Now};
use crate::call::media::Lane;
use crate::call::{Disposition, Respondent, Tap};
use crate::campaign::terms::Recording;
use crate::ivr::session::Message;
use crate::ivr::{Concern, Entry, Questionnaire, Utterance};
use crate::recording::{Archive, CenterKey, Recorder, Tape};
use crate::store::{Claim, NewRecording, StoreError, Terms};
use crate::tape::policy::{Messages, scope};
use crate::tape::{Keep, Mark, MarkKind, Policy, Scope};
use crate::worker::Road;

/// What calls are recorded with.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// Where recordings are kept.
    pub archive: Archive,
    /// Who writes them.
    pub recorder: Recorder,
    /// The rule of centres that made none.
    pub policy: Policy,
}

/// Which calls of a campaign stay: as its terms say, or as its centre does.
fn keep(of_center: Keep, of_campaign: Recording) -> Keep {
    match of_campaign {
        Recording::AsCenter => of_center,
        Recording::Nothing => Keep::None,
        Recording::Escalated => Keep::Escalated,
        Recording::All => Keep::All,
    }
}

/// How long the call waits for the store because of its recording.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the sound may take to be written once the call is over.
const ENDING: Duration = Duration::from_secs(20);

/// One call's recording; it does nothing if the call is not recorded.
pub(super) struct Track(Option<Running>);

struct Running {
    new: NewRecording,
    tap: Option<Tap>,
    tape: Tape,
    /// The store knows of it.
    has_begun: bool,
    is_identified: bool,
    marks: Vec<Mark>,
    /// How many of them are stored.
    n_stored: usize,
    /// The message that is being left, from where on.
    listens_from: Option<Duration>,
    /// The message that was left.
    message: Option<(Duration, Duration)>,
}

impl Track {
    /// Decides whether the call is recorded, and makes the tape ready.
    pub(super) async fn prepare<C>(
        road: &Road<C>,
        claim: &Claim,
        questionnaire: &Questionnaire,
        now: Now,
    ) -> Self {
        let Some(recordings) = &road.recordings else { return Self(None) };
        let messages = match questionnaire.message {
            Some(_) => Messages::Offered,
            None => Messages::NotOffered,
        };
        Self(prepare(road, recordings, claim, messages, now).await.unwrap_or_else(|error| {
            let attempt = claim.attempt.id;
            error!(%attempt, "attempt {attempt} is not recorded: {error:#}");
            None
        }))
    }

    /// What the carrier is to feed.
    pub(super) fn tap(&mut self) -> Option<Tap> {
        self.0.as_mut().and_then(|running| running.tap.take())
    }

    /// Whether the greeting must say that the call is recorded.
    pub(super) fn is_announced(&self) -> bool {
        self.0.as_ref().is_some_and(|running| running.new.scope == Scope::Whole)
    }

    /// Whether what the patient wants to say can be kept.
    pub(super) fn takes_messages(&self) -> bool {
        self.0.is_some()
    }

    /// The store must know that there is a recording; said once or more. What it never hears of is
    /// not kept.
    pub(super) async fn begin<C>(&mut self, road: &Road<C>) {
        let Some(running) = self.0.as_mut().filter(|running| !running.has_begun) else { return };
        let now = road.clock.now().timestamp;
        match timeout(PATIENCE, road.store.begin_recording(now, &running.new)).await {
            Ok(Ok(())) => running.has_begun = true,
            Ok(Err(error)) => {
                warn!(attempt = %running.new.attempt, %error, "the recording is not kept");
            }
            Err(_) => warn!(attempt = %running.new.attempt, "the store is late: no recording"),
        }
    }

    /// We begin to say something.
    pub(super) fn said(&mut self, said: &[Utterance]) {
        let prompts: Vec<&str> = said.iter().map(|one| one.prompt.as_str()).collect();
        self.mark(MarkKind::Say, prompts.join(" "));
    }

    /// A key was pressed. Until somebody is identified it may be part of the proof: then it is not
    /// told which, and the patient's lane is silent from here on.
    pub(super) fn pressed(&mut self, digit: Digit) {
        let Some(running) = &mut self.0 else { return };
        if running.is_identified {
            return self.mark(MarkKind::Key, digit.to_string());
        }
        running.tape.reel.mute(Lane::Theirs);
        self.mark(MarkKind::Key, String::new());
    }

    /// Somebody proved who they are.
    pub(super) fn identified(&mut self, respondent: Respondent) {
        let Some(running) = &mut self.0 else { return };
        running.is_identified = true;
        if running.new.scope == Scope::Whole {
            running.tape.reel.unmute(Lane::Theirs);
        }
        self.mark(MarkKind::Identified, respondent.as_str().to_owned());
    }

    /// An answer was stored, and the rules weighed it.
    pub(super) fn answered(&mut self, entry: &Entry, concern: Concern) {
        let which = format!("{} {}", entry.seq, entry.question);
        if concern != Concern::None {
            self.mark(MarkKind::Rule, format!("{} {which}", concern.as_str()));
        }
        self.mark(MarkKind::Answer, which);
    }

    /// What is heard from now on is meant for the staff.
    pub(super) fn begin_message(&mut self) {
        let Some(running) = &mut self.0 else { return };
        running.tape.reel.unmute(Lane::Theirs);
        running.listens_from = Some(running.tape.reel.position());
        self.mark(MarkKind::Message, "begin".to_owned());
    }

    /// The message is over. What was spoken is kept, whoever it was.
    pub(super) async fn end_message<C>(&mut self, road: &Road<C>, message: Message) {
        let Some(running) = &mut self.0 else { return };
        let to = running.tape.reel.position();
        if let (Some(from), Message::Spoken) = (running.listens_from.take(), message) {
            running.message = Some((from, to.max(from)));
        }
        if running.new.scope == Scope::Message {
            running.tape.reel.mute(Lane::Theirs);
        }
        self.mark(MarkKind::Message, "end".to_owned());
        if self.has_message() {
            self.begin(road).await;
        }
    }

    /// Whether somebody has left a message on it.
    pub(super) fn has_message(&self) -> bool {
        self.0.as_ref().is_some_and(|running| running.message.is_some())
    }

    /// We end the call.
    pub(super) fn hang_up(&mut self) {
        self.mark(MarkKind::End, "hang_up".to_owned());
    }

    /// The call is over.
    pub(super) fn ended(&mut self, disposition: Disposition) {
        self.mark(MarkKind::End, disposition.to_string());
    }

    fn mark(&mut self, kind: MarkKind, detail: String) {
        if let Some(running) = &mut self.0 {
            let at = running.tape.reel.position();
            running.marks.push(Mark { at, kind, detail });
        }
    }

    /// Stores the marks so far; those that cannot be stored now are tried again later.
    pub(super) async fn flush<C>(&mut self, road: &Road<C>) {
        let Some(running) = self.0.as_mut().filter(|running| running.has_begun) else { return };
        let marks = running.marks.get(running.n_stored..).unwrap_or_default();
        if marks.is_empty() {
            return;
        }
        let first = u32::try_from(running.n_stored).unwrap_or(u32::MAX);
        let adding = road.store.add_marks(running.new.id, first, marks);
        match timeout(PATIENCE, adding).await {
            Ok(Ok(())) => running.n_stored = running.marks.len(),
            Ok(Err(error)) => {
                warn!(attempt = %running.new.attempt, %error, "cannot store marks yet");
            }
            Err(_) => warn!(attempt = %running.new.attempt, "cannot store marks yet"),
        }
    }

    /// Waits until the sound is written, and tells the store. What fails here is found by the next
    /// start.
    pub(super) async fn finish<C>(mut self, road: &Road<C>) {
        // The store may have been away when the message ended.
        if self.has_message() {
            self.begin(road).await;
        }
        self.flush(road).await;
        let (Some(running), Some(recordings)) = (self.0, &road.recordings) else { return };
        let id = running.new.id;
        let Ok(taped) = timeout(ENDING, running.tape.taped()).await else {
            error!(recording = %id, "the sound of a call does not come to its end");
            return;
        };
        if !running.has_begun {
            if let Err(error) = recordings.archive.forget_spooled(id) {
                error!(recording = %id, "a recording without a row cannot be deleted: {error}");
            }
            return;
        }
        if taped.missing > 0 {
            let lost_ms = taped.missing / 8;
            warn!(recording = %id, lost_ms, "the disk was too slow for a recording");
        }
        // The recorder has told why.
        if taped.written.is_err() {
            return;
        }
        let now = road.clock.now().timestamp;
        let stored: Result<(), StoreError> = async {
            if let Some((from, to)) = running.message {
                road.store.message_left(id, from, to).await?;
            }
            road.store.finish_recording(now, id, taped.samples, taped.missing).await
        }
        .await;
        if let Err(error) = stored {
            error!(recording = %id, %error, "cannot store that a recording is over");
        }
    }
}

async fn prepare<C>(
    road: &Road<C>,
    recordings: &Recordings,
    claim: &Claim,
    messages: Messages,
    now: Now,
) -> anyhow::Result<Option<Running>> {
    let terms = road.store.recording_terms(claim.patient.id).await?;
    let policy = terms.policy.unwrap_or(recordings.policy);
    let of_campaign = claim.terms.as_ref().map_or(Recording::AsCenter, |terms| terms.recording);
    let policy = Policy { keep: keep(policy.keep, of_campaign), ..policy };
    let Some(scope) = scope(policy.keep, terms.consent, messages) else { return Ok(None) };
    let archive = &recordings.archive;
    anyhow::ensure!(
        !archive.spool_is_full()?,
        "the spool is full: does the archive of recordings answer?"
    );
    let center = center_key(road, archive, &terms, now).await?;
    let new = NewRecording {
        id: road.store.mint(now.timestamp),
        attempt: claim.attempt.id,
        key: center.id,
        node: road.config.node.clone(),
        scope,
        policy,
    };
    let (tap, tape) = recordings.recorder.tape(new.id, &center);
    if scope == Scope::Message {
        tape.reel.mute(Lane::Ours);
        tape.reel.mute(Lane::Theirs);
    }
    Ok(Some(Running {
        new,
        tap: Some(tap),
        tape,
        has_begun: false,
        is_identified: false,
        marks: Vec::new(),
        n_stored: 0,
        listens_from: None,
        message: None,
    }))
}

/// The key of the patient's centre; a new one for a centre that has none.
async fn center_key<C>(
    road: &Road<C>,
    archive: &Archive,
    terms: &Terms,
    now: Now,
) -> anyhow::Result<CenterKey> {
    let open = |sealed| {
        CenterKey::open(archive.master_key(), sealed)
            .context("the key of the recordings is not the one that the centre's was sealed with")
    };
    if let Some(sealed) = &terms.key {
        return open(sealed);
    }
    let key = CenterKey::random(road.store.mint(now.timestamp));
    let sealed = key.seal(archive.master_key());
    match road.store.add_center_key(now.timestamp, terms.health_center, &sealed, None).await {
        Ok(()) => Ok(key),
        // Another call of the same centre was faster.
        Err(StoreError::Conflict { .. }) => {
            let sealed = road.store.center_key(terms.health_center).await?;
            open(&sealed.context("the centre's key is gone")?)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_may_keep_more_or_less_than_its_centre() {
        for (of_campaign, expected) in [
            (Recording::AsCenter, Keep::Sampled(5)),
            (Recording::Nothing, Keep::None),
            (Recording::Escalated, Keep::Escalated),
            (Recording::All, Keep::All),
        ] {
            assert_eq!(keep(Keep::Sampled(5), of_campaign), expected, "{of_campaign:?}");
        }
    }
}
