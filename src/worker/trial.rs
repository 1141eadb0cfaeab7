//! A call to a staff telephone that tries out the lines: it asks for one key, so that it is known
//! that sound goes both ways.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};

use crate::base::id::TestCallId;
use crate::base::{Now, PhoneNumber};
use crate::call::{Carrier, DialRequest, Disposition, Line, LineEvent};
use crate::ivr::Utterance;
use crate::ivr::speech::TEST_CALL;
use crate::prompt::Pace;
use crate::worker::{Road, Turn};

/// Asked for a key so often.
const TIMES: u32 = 3;

/// How long a key may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// However long the prompts are, the call is no longer.
const LONGEST: Duration = Duration::from_mins(1);

/// Places the test call that was asked for, if there is one.
pub(super) async fn turn<C: Carrier>(road: &Road<C>, now: Now) -> anyhow::Result<Turn> {
    let (node, trunk) = (&road.config.node, &road.config.trunk);
    let Some((id, number)) = road.store.take_test_call(now.timestamp, node, trunk).await? else {
        return Ok(Turn::idle());
    };
    // A call that cannot be made ready has come to its end, too.
    let (disposition, heard) = match place(road, id, number).await {
        Ok(Some(result)) => result,
        Ok(None) => {
            info!("a test call is not placed: all calls are stopped");
            return Ok(Turn { done: 1, more: false, next: None });
        }
        Err(error) => {
            error!("a test call is not placed: {error:#}");
            (Disposition::Cancelled, false)
        }
    };
    info!(%disposition, heard, "a test call ended: {disposition}");
    let now = road.clock.now().timestamp;
    road.store.finish_test_call(now, id, disposition, heard).await?;
    Ok(Turn { done: 1, more: false, next: None })
}

/// Calls, asks for a key, and says thanks for it. `None` if all calls were stopped before it could
/// be placed; one that was placed goes on to its end, as any other.
async fn place<C: Carrier>(
    road: &Road<C>,
    id: TestCallId,
    number: PhoneNumber,
) -> anyhow::Result<Option<(Disposition, bool)>> {
    let words = TEST_CALL.map(Utterance::fixed);
    let speaking = Arc::clone(&road.library);
    let needed = words.to_vec();
    tokio::task::spawn_blocking(move || speaking.prepare(&needed, Pace::Normal))
        .await
        .context("the speech of a test call broke off")?
        .context("a test call cannot be spoken")?;
    let [question, thanks] = words.map(|utterance| {
        road.library.clip(&utterance, Pace::Normal).into_iter().collect::<Vec<_>>()
    });
    let request = DialRequest {
        callee: number,
        ring_timeout: road.config.ring_timeout,
        label: "test".to_owned(),
        tap: None,
    };
    if !road.store.may_place_test_call(road.clock.now().timestamp, id).await? {
        return Ok(None);
    }
    let mut line = road.carrier.dial(request).await;
    let mut asked = 0;
    let mut heard = false;
    let mut deadline: Option<Instant> = None;
    let mut ends_at: Option<Instant> = None;
    loop {
        let until = [deadline, ends_at].into_iter().flatten().min();
        let far = Instant::from_std(road.clock.now().instant);
        let event = tokio::select! {
            biased;
            event = line.next_event() => event,
            () = sleep_until(until.unwrap_or(far)), if until.is_some() => {
                let now = Instant::from_std(road.clock.now().instant);
                if asked < TIMES && ends_at.is_some_and(|at| now < at) {
                    asked += 1;
                    deadline = None;
                    line.play(question.clone());
                } else {
                    (deadline, ends_at) = (None, None);
                    line.hang_up();
                }
                continue;
            }
        };
        let now = Instant::from_std(road.clock.now().instant);
        match event {
            LineEvent::Answered => {
                asked = 1;
                ends_at = Some(now + LONGEST);
                line.play(question.clone());
            }
            LineEvent::Digit(_) if !heard => {
                heard = true;
                deadline = None;
                line.play(thanks.clone());
            }
            LineEvent::PlayEnded if heard => line.hang_up(),
            LineEvent::PlayEnded => deadline = Some(now + PATIENCE),
            LineEvent::Ended(ended) => return Ok(Some((ended.disposition, heard))),
            LineEvent::Ringing | LineEvent::Digit(_) | LineEvent::Heard(_) => {}
        }
    }
}
