//! Mimamori telephones people who recuperate at home, asks how they are, and raises the alarm.
//!
//! # Bird's-eye view
//!
//! A health centre watches over patients who are ill at home. At the agreed times of day this
//! program dials each of them through a SIP trunk, asks in Japanese for temperature, oxygen
//! saturation and symptoms, takes keys as answers, and stores every answer before it asks on.
//! Rules that are data decide which answers a nurse must hear of; each such case leaves at once as
//! a signed message. A patient who was not reached, or who fell silent, is never taken for well.
//!
//! Inside, **machines decide and drivers wait**. A machine ([`sip::endpoint`], [`call::leg`],
//! [`ivr::session`] …) takes inputs with the time at which they came, says what to do next, and
//! until when to wait; it opens no socket and reads no clock. A driver ([`trunk`], [`worker`])
//! does what it is told and feeds what happens. So a week of telephone calls can be played in
//! seconds, and a failure can be played again from its seed.
//!
//! # The road
//!
//! ```text
//!  registry ──► campaign::plan ──► Attempt (due)
//!                    ▲                  │ claim                    worker: schedule, dial
//!                    │                  ▼
//!              Disposition ◄──── trunk + call::leg ──answered──┐
//!                                       ▲  sound, digits       │   worker: talk
//!                                       └────── ivr::session ◄─┘
//!                                                  │ answers (what was pressed)
//!                                                  ▼               worker: observe
//!                                             Observation (what it means)
//!                                                  │               worker: escalate, deliver
//!                                                  ▼
//!            silence ──► 安否確認 (list) ───────► Case ──► notify (health centre)
//!                                                                  worker: welfare
//! ```
//!
//! The steps of [`worker`] meet in the [`store`]: each claims rows that the step before has left,
//! and leaves rows for the next. So any of them may stop, run twice, or run elsewhere.
//!
//! # The code map
//!
//! By floors, the lowest first. A module uses lower floors only, never a neighbour; a test holds
//! the table (`tests/it/tidy.rs`).
//!
//! | floor | module | what it is for |
//! |---|---|---|
//! | 0 words | [`base`] | ids, telephone numbers, keys, codecs, private values, text in addresses, time as it is handed down |
//! | 1 protocols | [`sip`] | messages, transactions, dialogs, calls, registration (RFC 3261) |
//! | | [`sdp`] | offer and answer for one stream of sound (RFC 3264, RFC 8866) |
//! | | [`rtp`] | packets, reports, telephone events (RFC 3550, RFC 4733) |
//! | | [`audio`] | G.711, levels, tones, WAV |
//! | 2 call | [`call`] | one telephone call, without the word SIP |
//! | 3 people | [`registry`] | centres, patients, episodes; lists as spreadsheets write them |
//! | 4 plan and talk | [`campaign`] | programmes and their terms; slots, windows, attempts, retries, pace |
//! | | [`ivr`] | questionnaire, catalogue, interview |
//! | 5 meaning | [`observation`] | answers as coded facts |
//! | | [`tape`] | what is kept of a call's sound, how long, and what happened when in it |
//! | 6 alarm | [`escalation`] | rules, findings, cases, and who was silent |
//! | | [`release`] | who may be released from recuperation, and what is in the way |
//! | 7 adapters | [`store`] | the only SQL |
//! | | [`trunk`] | the carrier: sockets, media threads, drivers |
//! | | [`prompt`] | the catalogue as sound: voice, recordings, cache |
//! | | [`recording`] | sound at rest: sealed files, the spool, the archive |
//! | | [`notify`] | signed webhooks |
//! | 8 verbs | [`worker`] | the road |
//! | | [`web`] | the staff console and its API |
//! | | [`sim`] | patients and carriers made of code |
//! | 9 settings | [`config`] | what was typed becomes what is meant |
//! | | [`telemetry`] | logs |
//! | 10 root | [`app`] | what each command builds, starts and stops |
//!
//! To follow one morning, read `migrations/`, then [`worker`], [`campaign::plan`](mod@campaign::plan),
//! [`ivr::session`], [`call::leg`] and [`escalation::evaluate`](mod@escalation::evaluate).
//!
//! # What is not there
//!
//! 1. No I/O below floor 7: no runtime, database, file, socket, clock or source of randomness.
//! 2. No SIP, SDP or RTP above [`call`], but in [`trunk`], which drives them, and in [`sim`], which
//!    plays the other side.
//! 3. No call for the time. Protocols take an `Instant` and the domain a `Timestamp`; the edge hands
//!    both down as [`base::Now`].
//! 4. No step of the road calls another, but for the live call that `dial` hands to `talk`.
//! 5. No turn of a worker retries by itself: the next turn is the retry, and does no harm twice.
//! 6. No attempt is placed again once its claim is committed, unless the node that holds it says
//!    itself that nothing was sent: nobody is called twice for a crash.
//! 7. No answer and no observation is changed: a correction is a new one.
//! 8. No telephone number, name or secret in a log or an error: such values are [`base::Private`],
//!    or show themselves redacted.
//! 9. No SQL outside [`store`], and none that only one of the two databases understands unless its
//!    twin stands beside it. States have checks; "at most one" has a unique index.
//! 10. No bytes from outside make a parser panic.
//! 11. No first call before every prompt that any interview may need can be said, and the
//!     questionnaires and the rules are valid; and none in the name of a campaign whose questionnaire is
//!     not there: no other is asked in its place.
//! 12. No global state but the subscriber of the logs and the provider of TLS.
//!
//! # Words
//!
//! | say | for |
//! |---|---|
//! | **call** | the whole conversation with one patient |
//! | **leg**, **line** | its side towards the carrier; the line is what [`call`] shows of it |
//! | **trunk** | the link to a carrier, with its capacity |
//! | **dialog**, **transaction** | exactly RFC 3261 §12, §17 |
//! | **offer**, **answer** of a session | exactly RFC 3264 |
//! | **digit**, **telephone event** | a key; its form in RTP (RFC 4733) |
//! | **gather** | to collect the digits of one answer |
//! | **disposition** | how the telephone part ended |
//! | **respondent**, **completion** | who answered; how far the dialogue came |
//! | **household** | those who share a telephone: one call, one after the other, each with a record |
//! | **campaign**, **terms** | a programme of a centre; by what its patients are called, in versions that never change |
//! | **slot** | what is owed to one patient, numbered within a date; any channel may meet it |
//! | **attempt** | one try to reach a patient for a slot |
//! | **prompt**, **utterance**, **clip** | a text of the catalogue; with its values; as sound |
//! | **questionnaire**, **question**, **answer** | what is asked |
//! | **transcript** | what was asked and pressed |
//! | **observation** | a coded fact about a patient at a time |
//! | **recording**, **mark** | a call's sound as it is kept; what happened at a moment of it |
//! | **episode** | the days under observation |
//! | **case** | a human must act; opened, acknowledged, resolved |
//! | **welfare check** | 安否確認: somebody silent all day, or in the evening, is looked for; listed, decided, settled |
//! | **lab test** | a specimen, how it was examined, what was found; withdrawn and never overwritten |
//! | **course**, **proposal** | from which day an illness is counted; that a release is possible, for a person to decide |
//! | **concern** | how much an answer weighs while the patient is still on the line |

pub mod base;

pub mod audio;
pub mod rtp;
pub mod sdp;
pub mod sip;

pub mod call;

pub mod registry;

pub mod campaign;
pub mod ivr;

pub mod observation;
pub mod tape;

pub mod escalation;
pub mod release;

pub mod notify;
pub mod prompt;
pub mod recording;
pub mod store;
pub mod trunk;

pub mod sim;
pub mod web;
pub mod worker;

pub mod config;
pub mod telemetry;

pub mod app;
