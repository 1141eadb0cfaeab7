//! The road: `schedule → dial → talk → observe → escalate`.
//!
//! The steps never call one another. Each claims rows that the step before left in the store and
//! leaves rows for the next, so that any of them may crash, run twice, or run on another machine.
//! The one exception is a live call, which cannot be put in a table: this file takes the line that
//! `dial` got answered to `talk`.
//!
//! ```text
//! schedule   episodes → slots → attempts that are due
//! dial       due attempts → calls                        at the pace of the trunk
//! talk       a call ⇄ the dialogue → answers             each committed before the next question
//! follow_up  an answered call → a further slot            low SpO2 again, after an emergency
//! household  the same line → the next of those who share it
//! observe    answers → observations
//! escalate   observations, endings → cases → outbox
//! welfare    silence → the 安否確認 lists, cases          at the hours that the terms say
//! deliver    outbox → webhook                            until the receiver took it
//! archive    recordings of calls that are over → kept, stored, or deleted
//! rescue     attempts that a crash left behind
//! trial      a call to a staff telephone that somebody asked for, unless all calls are stopped
//! ```
//!
//! Every step is a *turn*: idempotent, without input but the store and the time, and without
//! retries of its own: the next turn is the retry. A loop takes a turn whenever the store has
//! changed in a way that may leave work for it, when the turn before said that time will bring
//! work, and at least as often as the period says, for changes that other processes make.

mod archive;
mod clock;
mod deliver;
mod dial;
mod escalate;
mod follow_up;
mod household;
mod observe;
mod progress;
mod rescue;
mod rules;
mod schedule;
mod takes;
mod talk;
mod track;
mod trial;
mod welfare;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::base::id::{AttemptId, PatientId};
use crate::base::{Clock, PhoneNumber};
use crate::call::{Carrier, Completion, Disposition, Ended, Timeline};
use crate::campaign::follow_up::LAST_BY_HAND;
use crate::campaign::pacing::{Limits, Pacer, Permit};
use crate::campaign::plan::Precedence;
use crate::campaign::{FollowUps, NewSlot, PlannedAttempt, SlotKind, SlotState, Terms};
use crate::escalation::rule::RuleBook;
use crate::ivr::Questionnaires;
use crate::notify::Webhook;
use crate::prompt::Library;
use crate::store::{Claim, Outcome, Store, Topic};

pub use clock::ahead as clock_ahead;
pub use progress::{News, Progress, Step};
pub use track::Recordings;

/// Answers of so many days are looked back upon by the rules: the longest episode is shorter.
const LOOK_BACK: Duration = Duration::from_hours(24 * 14);

/// What all steps share.
pub struct Road<C> {
    /// The store where they meet.
    pub store: Store,
    /// Who places the calls.
    pub carrier: Arc<C>,
    /// What can be said.
    pub library: Arc<Library>,
    /// What can be asked; the terms of each campaign say what is.
    pub questionnaires: Arc<Questionnaires>,
    /// When a human must act, where a centre has released no rules of its own.
    pub rules: RuleBook,
    /// How time is handed down.
    pub clock: Clock,
    /// Where messages go, if anywhere.
    pub webhook: Option<Webhook>,
    /// Where recordings go, if calls may be recorded at all.
    pub recordings: Option<Recordings>,
    /// The settings.
    pub config: Config,
    /// What happens, for those who watch.
    pub progress: Progress,
}

/// How the road is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this node, the same again after a restart; leases are held in it.
    pub node: String,
    /// How long a claim is good for without a sign of life.
    pub lease: Duration,
    /// How long a telephone may ring.
    pub ring_timeout: Duration,
    /// Calls at once, and calls per second.
    pub limits: Limits,
    /// The terms for centres without campaigns, and of the first campaign of each.
    pub terms: Arc<Terms>,
    /// The name of the trunk, for what is set for it while it runs.
    pub trunk: String,
    /// The group that it is in: campaigns may be bound to one.
    pub trunk_group: Option<String>,
    /// A report by another channel this long before the call makes the call needless.
    pub grace: Duration,
    /// Which answers bring further calls.
    pub follow_ups: FollowUps,
    /// How long an answer may take to be stored before the call is ended with an apology.
    pub patience_with_store: Duration,
    /// How long to wait at most before looking at the store again: changes that other processes
    /// make are seen then.
    pub poll: Duration,
    /// How long calls under way may go on after the stop was asked for.
    pub drain: Duration,
}

impl Config {
    /// The shipped values, for this node.
    pub fn shipped(node: String) -> Self {
        Self {
            node,
            lease: Duration::from_secs(30),
            ring_timeout: Duration::from_mins(1),
            limits: Limits { calls_per_second: 1.0, burst: 1, calls_at_once: 2 },
            terms: Arc::new(Terms::shipped()),
            trunk: "main".to_owned(),
            trunk_group: None,
            grace: Duration::from_hours(3),
            follow_ups: FollowUps::shipped(),
            patience_with_store: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            drain: Duration::from_mins(2),
        }
    }
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Turn {
    /// Rows that it dealt with.
    done: usize,
    /// There is more to do at once.
    more: bool,
    /// When there will be more to do though nothing changes.
    next: Option<Timestamp>,
}

impl Turn {
    fn idle() -> Self {
        Self { done: 0, more: false, next: None }
    }
}

/// Walks the road until `stop` turns true, then lets the calls under way come to their end.
///
/// # Errors
/// If the attempts that a crash left behind cannot be closed: without that nobody may be called.
pub async fn run<C: Carrier>(
    road: Arc<Road<C>>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    rescue::at_start(&road, road.clock.now()).await?;
    archive::at_start(&road, road.clock.now()).await;

    let mut workers = JoinSet::new();
    for worker in Worker::all() {
        workers.spawn(worker.keep_turning(Arc::clone(&road), stop.clone()));
    }
    let mut stop_dialing = stop.clone();
    dial_until_stopped(&road, &mut stop_dialing).await;
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker broke off")?;
    }
    last_turns(&road).await;
    Ok(())
}

/// Dials what is due, then waits for the calls under way.
async fn dial_until_stopped<C: Carrier>(road: &Arc<Road<C>>, stop: &mut watch::Receiver<bool>) {
    let mut changes = road.store.changes(&[Topic::Due, Topic::Over]);
    let now = road.clock.now();
    let mut pacer = Pacer::new(now.instant, road.config.limits);
    let gate = Arc::new(dial::Gate::new(now, road.config.limits));
    let mut trust = clock::Trust::default();
    let mut calls = JoinSet::new();
    while !*stop.borrow() {
        changes.mark_unchanged();
        while let Some(ended) = calls.try_join_next() {
            release(&mut pacer, ended);
        }
        let dialed = dial_what_is_due(road, &gate, &mut pacer, &mut trust, &mut calls).await;
        let next_look = dialed.unwrap_or_else(|error| {
            // The next turn is the retry.
            error!("the step dial failed: {error:#}");
            Duration::from_secs(1)
        });
        tokio::select! {
            biased;
            _ = stop.changed() => {}
            () = changes.changed() => {}
            Some(ended) = calls.join_next() => release(&mut pacer, ended),
            () = sleep(next_look) => {}
        }
    }
    let ending = async { while calls.join_next().await.is_some() {} };
    if timeout(road.config.drain, ending).await.is_err() {
        warn!(calls = calls.len(), "calls are ended because the service stops");
    }
}

/// Gives a line free. A panic ends one call only; its attempt is closed when its lease has run out.
fn release(pacer: &mut Pacer, ended: Result<(), JoinError>) {
    pacer.release();
    if let Err(error) = ended {
        error!("a call broke off: {error}");
    }
}

/// Places the calls that are due and that the pace allows. Returns how long to wait before looking
/// again, if nothing changes until then.
async fn dial_what_is_due<C: Carrier>(
    road: &Arc<Road<C>>,
    gate: &Arc<dial::Gate>,
    pacer: &mut Pacer,
    trust: &mut clock::Trust,
    calls: &mut JoinSet<()>,
) -> anyhow::Result<Duration> {
    let now = road.clock.now();
    let mut next_look = road.config.poll;
    match road.store.next_due().await? {
        Some(due_at) if due_at <= now.timestamp => {}
        Some(due_at) => {
            let until = now.timestamp.duration_until(due_at).unsigned_abs();
            return Ok(until.min(next_look));
        }
        None => return Ok(next_look),
    }
    if !trust.holds(road).await? {
        return Ok(next_look);
    }
    let mut permits = 0;
    loop {
        match pacer.poll_permit(now.instant) {
            Permit::Granted => permits += 1,
            Permit::At(instant) => {
                next_look = next_look.min(instant.saturating_duration_since(now.instant));
                break;
            }
            Permit::Full => break,
        }
    }
    let claimed = dial::turn(road, now, permits, None).await;
    let n_claimed = claimed.as_ref().map_or(0, Vec::len);
    for _ in n_claimed..permits as usize {
        pacer.give_back();
    }
    for claim in claimed? {
        let (road, gate) = (Arc::clone(road), Arc::clone(gate));
        let span = info_span!("call", attempt = %claim.attempt.id);
        calls.spawn(async move { call(&road, &gate, &claim).await }.instrument(span));
    }
    Ok(next_look)
}

/// Places the test call that somebody asked for, where no service runs that would.
///
/// # Errors
/// If the store fails.
pub async fn place_test_call<C: Carrier>(road: &Road<C>) -> anyhow::Result<()> {
    trial::turn(road, road.clock.now()).await.map(|_| ())
}

/// Why nobody was called although somebody asked for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NotCalled {
    /// The patient has no episode that covers today.
    NotUnderObservation,
    /// All four numbers of the day are taken.
    NoFreeSlot,
    /// It is outside the hours of the centre or of the law, the patient or the number is on the
    /// line or was a moment ago, or another channel has reported.
    NotNow,
    /// Our clock and the database disagree.
    ClockDiffers,
    /// All dialling is stopped.
    Stopped,
}

/// Calls one patient now, outside the plan: opens a slot of its own, and comes back when the
/// results are stored and judged. Everything that holds for other calls holds for this one.
///
/// # Errors
/// If the store fails.
pub async fn call_now<C: Carrier>(
    road: &Road<C>,
    patient: PatientId,
    phone: &PhoneNumber,
) -> anyhow::Result<Result<AttemptId, NotCalled>> {
    if !road.store.dialing().await?.is_running {
        return Ok(Err(NotCalled::Stopped));
    }
    if clock::ahead(&road.store, &road.clock).await?.is_some() {
        return Ok(Err(NotCalled::ClockDiffers));
    }
    let now = road.clock.now();
    let today = now.date();
    let episodes = road.store.episodes_on(today).await?;
    let Some(observed) = episodes.into_iter().find(|one| one.patient.id == patient) else {
        return Ok(Err(NotCalled::NotUnderObservation));
    };
    let taken = road.store.slots_of(patient, today).await?;
    // Planned slots keep their numbers, which are 1 to 4.
    let free = (5..=LAST_BY_HAND).find(|number| taken.iter().all(|slot| slot.number != *number));
    let Some(number) = free else { return Ok(Err(NotCalled::NoFreeSlot)) };
    let book = road.store.campaigns(now.timestamp).await?;
    let center = observed.health_center.id;
    let in_force = book.in_force(center, &observed.episode.arrangement, &road.config.terms);
    let slot = NewSlot {
        episode: observed.episode.id,
        patient,
        date: today,
        number,
        due_from: now.timestamp,
        due_to: now.timestamp + Duration::from_mins(10),
        kind: SlotKind::ByHand,
        campaign: in_force.key,
        rest: None,
    };
    road.store.open_slots(now.timestamp, std::slice::from_ref(&slot)).await?;
    let slots = road.store.slots_of(patient, today).await?;
    let slot = slots.iter().find(|slot| slot.number == number).context("the slot is gone")?.id;
    let planned = PlannedAttempt {
        slot,
        number: 1,
        phone: phone.clone(),
        due_at: now.timestamp,
        campaign: in_force.key,
        priority: Precedence::Urgent,
    };
    road.store.add_attempt(now.timestamp, &planned).await?;
    let claims = dial::turn(road, road.clock.now(), 1, Some(patient)).await?;
    let Some(claim) = claims.first() else {
        let reason = Some("called by hand, but not now");
        let now = road.clock.now().timestamp;
        // A report by another channel has settled it already.
        let _ = road.store.close_slot(now, slot, SlotState::Skipped, reason).await;
        return Ok(Err(NotCalled::NotNow));
    };
    let gate = dial::Gate::new(road.clock.now(), road.config.limits);
    call(road, &gate, claim).await;
    last_turns(road).await;
    Ok(Ok(claim.attempt.id))
}

/// One call from its claim to its results.
async fn call<C: Carrier>(road: &Road<C>, gate: &dial::Gate, claim: &Claim) {
    let ready = dial::Lease::hold_while(road, claim, async {
        let turn = gate.turn_to_speak().await;
        let interview = talk::prepare(road, claim, road.clock.now()).await?;
        drop(turn);
        gate.pass(road).await;
        // Whoever stopped dialling meanwhile means this call, too; and so does a clock that stepped.
        let now = road.clock.now().timestamp;
        let may_place = clock::ahead(&road.store, &road.clock).await?.is_none()
            && road.store.may_place(now, claim.attempt.id).await?;
        anyhow::Ok(may_place.then_some(interview))
    });
    let mut track = None;
    let mut rest = None;
    let outcome = match ready.await.map_err(anyhow::Error::from).flatten() {
        Ok(None) => {
            info!(attempt = %claim.attempt.id, "the call is put back: it may not be placed any more");
            give_back(road, claim).await;
            return;
        }
        Ok(Some(mut interview)) => match dial::place(road, claim, interview.track.tap()).await {
            dial::Placed::Answered(line) => {
                let talked = talk::hold(road, claim, interview, line).await;
                let outcome = settle(&talked);
                follow_up::after(road, claim, &talked.given).await;
                (track, rest) = (Some(talked.track), talked.line);
                outcome
            }
            dial::Placed::Over(ended) => not_answered(&ended),
        },
        Err(error) => {
            error!(attempt = %claim.attempt.id, "the call is not placed: {error:#}");
            let timeline =
                Timeline { ended: Some(road.clock.now().timestamp), ..Timeline::default() };
            not_answered(&Ended { disposition: Disposition::Cancelled, code: None, timeline })
        }
    };
    dial::finish(road, claim, &outcome).await;
    match (track, rest) {
        (Some(track), Some(line)) => household::go_on(road, claim.attempt.id, line, track).await,
        (Some(track), None) => track.finish(road).await,
        (None, _) => {}
    }
}

/// Puts back a call that was not placed. If that cannot be stored, the lease runs out, and the
/// attempt counts as one that never reached the telephone.
async fn give_back<C>(road: &Road<C>, claim: &Claim) {
    if let Err(error) = road.store.give_back(claim.attempt.id, &road.config.node).await {
        warn!(attempt = %claim.attempt.id, %error, "cannot put a call back");
    }
}

fn not_answered(ended: &Ended) -> Outcome {
    Outcome {
        disposition: ended.disposition,
        code: ended.code,
        respondent: None,
        completion: None,
        timeline: ended.timeline,
        // The plan decides what follows.
        slot_after: SlotState::Due,
    }
}

fn settle<L>(talked: &talk::Talked<L>) -> Outcome {
    let slot_after = match talked.completion {
        Completion::Complete => SlotState::Reported,
        // Somebody who was told to call for help must not be called away by a machine.
        _ if talked.given.alarmed => SlotState::Partial,
        // The plan decides what follows.
        _ => SlotState::Due,
    };
    Outcome {
        disposition: talked.ended.disposition,
        code: talked.ended.code,
        respondent: Some(talked.respondent),
        completion: Some(talked.completion),
        timeline: talked.ended.timeline,
        slot_after,
    }
}

/// A step of the road that lives by turns, with what it remembers between them.
enum Worker {
    Schedule(schedule::Memory),
    Observe,
    Escalate,
    Welfare(welfare::Memory),
    /// The generator spreads retries of messages; it protects nothing, so its seed may be known.
    Deliver(Box<StdRng>),
    Archive(archive::Memory),
    Rescue,
    Trial,
}

impl Worker {
    fn all() -> [Self; 8] {
        [
            Self::Schedule(schedule::Memory::default()),
            Self::Observe,
            Self::Escalate,
            Self::Welfare(welfare::Memory::default()),
            Self::Deliver(Box::new(StdRng::seed_from_u64(0))),
            Self::Archive(archive::Memory::default()),
            Self::Rescue,
            Self::Trial,
        ]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Schedule(_) => "schedule",
            Self::Observe => "observe",
            Self::Escalate => "escalate",
            Self::Welfare(_) => "welfare",
            Self::Deliver(_) => "deliver",
            Self::Archive(_) => "archive",
            Self::Rescue => "rescue",
            Self::Trial => "trial",
        }
    }

    /// The changes that may leave work for it.
    fn woken_by(&self) -> &'static [Topic] {
        match self {
            Self::Schedule(_) => &[Topic::Registry, Topic::Over],
            Self::Observe => &[Topic::Answer],
            Self::Escalate => &[Topic::Observation, Topic::Over],
            Self::Deliver(_) => &[Topic::Case],
            Self::Archive(_) => &[Topic::Over, Topic::Observation, Topic::Case, Topic::Recording],
            Self::Trial => &[Topic::Installation],
            // Silence is that nothing happens, and so is a lease that runs out.
            Self::Welfare(_) | Self::Rescue => &[],
        }
    }

    async fn turn<C: Carrier>(&mut self, road: &Road<C>) -> anyhow::Result<Turn> {
        let now = road.clock.now();
        match self {
            Self::Schedule(memory) => schedule::turn(road, now, memory).await,
            Self::Observe => observe::turn(road, now).await,
            Self::Escalate => escalate::turn(road, now).await,
            Self::Welfare(memory) => welfare::turn(road, now, memory).await,
            Self::Deliver(rng) => deliver::turn(road, now, rng).await,
            Self::Archive(memory) => archive::turn(road, now, memory).await,
            Self::Rescue => rescue::turn(road, now).await,
            Self::Trial => trial::turn(road, now).await,
        }
    }

    /// Takes a turn whenever the store has changed, and at least once a period.
    async fn keep_turning<C: Carrier>(
        mut self,
        road: Arc<Road<C>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let step = self.name();
        let mut changes = road.store.changes(self.woken_by());
        while !*stop.borrow() {
            changes.mark_unchanged();
            let next = match self.turn(&road).await {
                Ok(Turn { more: true, .. }) => continue,
                Ok(Turn { done, next, .. }) => {
                    if done > 0 {
                        debug!(step, done, "{step}: {done}");
                    }
                    next
                }
                // The next turn is the retry.
                Err(error) => {
                    error!(step, "the step {step} failed: {error:#}");
                    sleep(Duration::from_secs(1)).await;
                    None
                }
            };
            let now = road.clock.now().timestamp;
            let until_next = next.map(|at| now.duration_until(at).max(SignedDuration::ZERO));
            let idle = until_next.map_or(road.config.poll, SignedDuration::unsigned_abs);
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = changes.changed() => {}
                () = sleep(idle.min(road.config.poll)) => {}
            }
        }
    }
}

/// Carries what the last calls left behind as far as it will go: answers become observations, and
/// these become cases. Messages wait in the outbox for the next start if nobody takes them.
async fn last_turns<C: Carrier>(road: &Road<C>) {
    for mut worker in [
        Worker::Observe,
        Worker::Escalate,
        Worker::Deliver(Box::new(StdRng::seed_from_u64(0))),
        Worker::Archive(archive::Memory::default()),
    ] {
        loop {
            match worker.turn(road).await {
                Ok(Turn { more: true, .. }) => {}
                Ok(_) => break,
                Err(error) => {
                    error!("what the last calls left behind waits for the next start: {error:#}");
                    return;
                }
            }
        }
    }
}
