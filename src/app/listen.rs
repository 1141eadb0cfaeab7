//! `mimamori listen`: a recording on the loudspeaker, or as a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::app::{Configured, clock, house, open_store};
use crate::audio::wav;
use crate::audio::wav::Encoding;
use crate::base::id::{AttemptId, RecordingId};
use crate::base::{Clock, Private};
use crate::config::RecordingSettings;
use crate::recording::{Archive, View};
use crate::registry::audit::{Actor, AuditEntry};
use crate::store::{Store, StoreError};
use crate::tape::{Mark, MarkKind, Policy, Recording};

/// What to hear.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// 録音または架電の ID / The id of the recording, or of its attempt
    id: String,
    /// ここから: 秒、質問の名前(dyspnea など)、message、rule /
    /// From here: seconds, a question such as dyspnea, message, or rule
    #[arg(long)]
    from: Option<String>,
    /// 再生せず、WAV ファイルに書く / Write a WAV file instead of playing
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
}

/// A rule is heard from so long before it: the answer that it fired at.
const BEFORE_A_RULE: Duration = Duration::from_secs(6);

/// Finds the recording, writes down that it is heard, and lets it be heard.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let (database, settings) = place(&options.configured)?;
    if options.wav.is_none() && !cfg!(feature = "playback") {
        bail!(
            "この版は再生できません。--wav FILE で書き出すか、cargo build --features playback で\
             作り直してください(libasound2-dev が要ります) / this build cannot play: write a file \
             with --wav FILE, or build with --features playback (needs libasound2-dev)"
        );
    }
    let archive = house::archive(&settings)?;
    let store = open_store(&database).await?;
    let heard = hear(&options, &store, &archive, &clock::host()).await;
    store.close().await;
    heard?;
    Ok(ExitCode::SUCCESS)
}

/// The database, and where its recordings are: as configured, or beside it, as after a
/// demonstration.
fn place(configured: &Configured) -> anyhow::Result<(Private<String>, RecordingSettings)> {
    if let (Some(database), false) = (&configured.database, configured.config.exists()) {
        let settings = RecordingSettings::beside(database.expose(), Policy::SHIPPED);
        return Ok((database.clone(), settings));
    }
    let config = configured.load()?;
    let settings = config
        .recordings
        .context("設定に [recordings] がありません / the configuration has no [recordings]")?;
    Ok((config.database, settings))
}

async fn hear(
    options: &Options,
    store: &Store,
    archive: &Archive,
    clock: &Clock,
) -> anyhow::Result<()> {
    let recording = find(store, &options.id).await?;
    let marks = store.marks(recording.id).await?;
    let from = match &options.from {
        None => Duration::ZERO,
        Some(text) => moment(&marks, text).with_context(|| {
            format!("{text:?} はこの録音にありません / {text:?} is not in this recording")
        })?,
    };
    let samples = recording.samples.context("まだ通話中です / the call goes on")?;
    let to = if options.wav.is_some() { "file" } else { "loudspeaker" };
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: Some(recording.health_center),
        action: "recording.heard",
        patient: Some(recording.patient),
        object: recording.id.to_string(),
        detail: format!("from {:.1} s, {to}", from.as_secs_f64()),
    };
    // Before a sound leaves: who cannot be written down does not hear.
    store.audit(clock.now().timestamp, &entry).await?;
    let view = if options.wav.is_some() { View::Mulaw } else { View::Linear16 };
    let begin = view.position(samples, from);
    let sound = archive.read_view(&recording, view, begin..view.length(samples)).await?;
    match &options.wav {
        Some(path) => {
            let size = u32::try_from(sound.len())
                .context("WAV ファイルには長すぎます / too long for a WAV file")?;
            let mut file = wav::header(Encoding::Mulaw, 2, 8000, size);
            file.extend_from_slice(&sound);
            std::fs::write(path, file)
                .with_context(|| format!("{0} を書けません / cannot write {0}", path.display()))?;
        }
        None => play(&sound)?,
    }
    Ok(())
}

/// By the id of the recording or of its attempt.
async fn find(store: &Store, id: &str) -> anyhow::Result<Recording> {
    if let Ok(id) = id.parse::<RecordingId>() {
        match store.recording(id).await {
            Ok(recording) => return Ok(recording),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let attempt: AttemptId = id.parse()?;
    store.recording_of(attempt).await?.context("録音はありません / there is no recording")
}

/// Where something is: so many seconds, a message, the first rule that fired, or the words of a
/// question, which follow the answer to the one before.
fn moment(marks: &[Mark], text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let first = |kind| marks.iter().find(|mark| mark.kind == kind);
    match text {
        "message" => return first(MarkKind::Message).map(|mark| mark.at),
        "rule" => return first(MarkKind::Rule).map(|mark| mark.at.saturating_sub(BEFORE_A_RULE)),
        _ => {}
    }
    let is_answer = |mark: &Mark| {
        let question = mark.detail.split_once(' ').map(|(_, question)| question);
        mark.kind == MarkKind::Answer && question == Some(text)
    };
    let answer = marks.iter().position(is_answer)?;
    let before = marks.get(..answer)?;
    let settles = |mark: &Mark| matches!(mark.kind, MarkKind::Answer | MarkKind::Identified);
    let begins = before.iter().rposition(settles).map_or(0, |index| index + 1);
    before.get(begins..)?.iter().find(|mark| mark.kind == MarkKind::Say).map(|mark| mark.at)
}

#[cfg(feature = "playback")]
fn play(sound: &[u8]) -> anyhow::Result<()> {
    use std::num::NonZero;

    let samples: Vec<f32> = sound
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
        .collect();
    let (channels, rate) = (NonZero::new(2).context("two")?, NonZero::new(8000).context("8000")?);
    let device = rodio::DeviceSinkBuilder::open_default_sink()
        .context("スピーカーがありません / there is no loudspeaker")?;
    let player = rodio::Player::connect_new(device.mixer());
    player.append(rodio::buffer::SamplesBuffer::new(channels, rate, samples));
    player.sleep_until_end();
    Ok(())
}

#[cfg(not(feature = "playback"))]
fn play(_: &[u8]) -> anyhow::Result<()> {
    bail!("このビルドでは再生できません / this build cannot play")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_begins_with_the_words_after_the_answer_before() {
        let mark = |seconds, kind, detail: &str| Mark {
            at: Duration::from_secs(seconds),
            kind,
            detail: detail.to_owned(),
        };
        let marks = [
            mark(1, MarkKind::Say, "opening greeting"),
            mark(9, MarkKind::Key, ""),
            mark(10, MarkKind::Say, "identify"),
            mark(20, MarkKind::Identified, "patient"),
            mark(21, MarkKind::Say, "intro ask_temperature"),
            mark(30, MarkKind::Say, "readback_temperature"),
            mark(35, MarkKind::Answer, "0 temperature"),
            mark(36, MarkKind::Say, "ask_dyspnea"),
            mark(44, MarkKind::Rule, "emergency 1 dyspnea"),
            mark(44, MarkKind::Answer, "1 dyspnea"),
            mark(60, MarkKind::Message, "begin"),
        ];
        for (text, seconds) in [
            ("12.5", Some(12.5)),
            ("temperature", Some(21.0)),
            ("dyspnea", Some(36.0)),
            ("rule", Some(38.0)),
            ("message", Some(60.0)),
            ("cough", None),
            ("-1", None),
        ] {
            let found = moment(&marks, text).map(|at| at.as_secs_f64());
            assert_eq!(found, seconds, "{text}");
        }
    }
}
