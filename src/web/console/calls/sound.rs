//! The sound of a call for a player: a WAV file with ranges (RFC 9110 §14), served through us so
//! that rights are asked for every part of it.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use tracing::error;

use crate::base::Bilingual;
use crate::recording::{Archive, ArchiveError, View};
use crate::tape::{Recording, State as Kept};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::calls::{entry, heard_by, id, span};
use crate::web::fault::Fault;
use crate::web::range::{Wanted, wanted};

/// What is read and opened at once: half a minute of 16-bit sound.
const PIECE: u64 = 1 << 20;

/// The form of the file.
#[derive(Deserialize)]
pub(super) struct Form {
    #[serde(default)]
    fmt: String,
}

pub(super) async fn audio(
    viewer: Viewer,
    State(desk): State<Desk>,
    Path(call): Path<String>,
    Query(Form { fmt }): Query<Form>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let recording = heard_by(&viewer, &desk, id(&call)?).await?;
    let archive = desk.archive.clone().ok_or(Fault::NotFound)?;
    let view = if fmt == "pcm16" { View::Linear16 } else { View::Mulaw };
    let samples = match (recording.state, recording.samples) {
        (Kept::Deleted, _) => return Err(Fault::NotFound),
        (_, Some(samples)) => samples,
        (_, None) => return Err(fault(&ArchiveError::Running)),
    };
    let length = view.length(samples);
    let etag = format!("\"{}-{samples}-{view:?}\"", recording.id);
    let field = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // A part of another file is worth nothing: then the whole comes (RFC 9110 §13.1.5).
    let is_same = field(IF_RANGE).is_none_or(|known| known == etag);
    let wanted = field(RANGE).filter(|_| is_same).map_or(Wanted::Whole, |it| wanted(it, length));
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..length),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Beyond => {
            let all = format!("bytes */{length}");
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, all)]).into_response());
        }
    };
    // The first piece is read before anything is answered, so that a fault has its status.
    let first = range.start..range.end.min(range.start + PIECE);
    let piece = archive.read_view(&recording, view, first.clone()).await;
    let piece = piece.map_err(|cause| fault(&cause))?;
    let mut entry = entry(&viewer, "recording.served", &recording);
    entry.detail = seconds(view, samples, &range);
    desk.store.audit(viewer.now, &entry).await?;

    let mut response = Response::new(body(archive, recording, view, piece, first.end..range.end));
    *response.status_mut() = status;
    let content_range = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
    for (name, value) in [
        (CONTENT_TYPE, "audio/wav".to_owned()),
        (CONTENT_LENGTH, (range.end - range.start).to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (CACHE_CONTROL, "private, no-store".to_owned()),
        // Positions are those of the file itself: nothing may be packed on the way.
        (CONTENT_ENCODING, "identity".to_owned()),
        (ETAG, etag),
        (CONTENT_RANGE, content_range),
    ] {
        let is_left_out = name == CONTENT_RANGE && status == StatusCode::OK;
        if !is_left_out && let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// The piece that was read, and then the rest, piece by piece as it is taken.
fn body(
    archive: Archive,
    recording: Recording,
    view: View,
    first: Bytes,
    rest: Range<u64>,
) -> Body {
    let state = (archive, recording, Some(first), rest);
    let pieces = stream::try_unfold(state, move |(archive, recording, first, rest)| async move {
        if let Some(first) = first {
            return Ok(Some((first, (archive, recording, None, rest))));
        }
        if rest.is_empty() {
            return Ok::<_, ArchiveError>(None);
        }
        let end = rest.end.min(rest.start + PIECE);
        let piece = archive.read_view(&recording, view, rest.start..end).await?;
        Ok(Some((piece, (archive, recording, None, end..rest.end))))
    });
    Body::from_stream(pieces)
}

/// The seconds in a part of the file.
fn seconds(view: View, samples: u64, range: &Range<u64>) -> String {
    let begin = view.position(samples, Duration::ZERO);
    let per_second = view.position(u64::MAX / 16, Duration::from_secs(1)) - begin;
    let at = |position: u64| {
        Duration::from_millis(position.saturating_sub(begin) * 1000 / per_second.max(1))
    };
    span(at(range.start), at(range.end))
}

/// What is told of an archive that does not give the sound.
pub(super) fn fault(cause: &ArchiveError) -> Fault {
    match cause {
        ArchiveError::Running => Fault::Conflict(Bilingual::fixed(
            "通話中です。終わってから聞くことができます。",
            "The call goes on. It can be heard when it is over.",
        )),
        ArchiveError::Elsewhere { .. } => Fault::Conflict(Bilingual::fixed(
            "録音はまだ保管庫に届いていません。少し待ってください。",
            "The recording has not arrived in the archive yet. Please wait a moment.",
        )),
        ArchiveError::Deleted | ArchiveError::Missing => Fault::NotFound,
        ArchiveError::Unavailable { .. } => {
            error!("a recording cannot be read: {cause}");
            Fault::Unavailable
        }
        other => {
            error!("a recording cannot be read: {other}");
            Fault::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_file_are_told_in_seconds() {
        let samples = 8000 * 60;
        for (view, range, expected) in [
            (View::Linear16, 0..44, "0.0–0.0 s"),
            (View::Linear16, 44 + 32_000 * 12..44 + 32_000 * 24, "12.0–24.0 s"),
            (View::Linear16, 0..View::Linear16.length(samples), "0.0–60.0 s"),
            (View::Mulaw, 0..View::Mulaw.length(samples), "0.0–60.0 s"),
        ] {
            assert_eq!(seconds(view, samples, &range), expected, "{view:?} {range:?}");
        }
    }
}
