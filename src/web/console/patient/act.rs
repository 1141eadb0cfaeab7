//! What staff do about a patient: each form is read, refused with words beside the field, or done
//! and written down.

use axum::extract::{Path, State};
use axum::response::Response;
use jiff::civil::Date;

use crate::base::clock::civil;
use crate::base::id::{PatientId, StaffNoteId};
use crate::campaign::Window;
use crate::registry::{Episode, Gender, Right};
use crate::store::{Agreed, CarePlan, Resumed, Within};
use crate::tape::Consent;
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::console::patient::form::{Draft, Fields};
use crate::web::console::patient::{named, refuse, refused};
use crate::web::fault::Fault;

/// A form about a patient whom the viewer may see, by somebody who may do it.
struct Act {
    desk: Desk,
    viewer: Viewer,
    id: String,
    patient: PatientId,
    draft: Draft,
}

impl Act {
    fn new(
        desk: Desk,
        id: String,
        posted: Posted<Fields>,
        (form, right): (&'static str, Right),
    ) -> Result<Self, Fault> {
        let Posted { viewer, form: fields } = posted;
        viewer.must(right)?;
        let patient = named(&id)?;
        Ok(Self { desk, viewer, id, patient, draft: Draft::new(form, fields) })
    }

    fn within(&self) -> Result<Within<'_>, Fault> {
        Ok(self.desk.store.within(self.viewer.scope()?))
    }

    fn today(&self) -> Date {
        civil(self.viewer.now).date()
    }

    async fn plan(&self) -> Result<CarePlan, Fault> {
        Ok(self.within()?.care_plan(self.patient, (self.today(), self.today())).await?)
    }

    /// The episode that goes on.
    async fn episode(&self) -> Result<(CarePlan, Episode), Fault> {
        let mut plan = self.plan().await?;
        let active = plan.episode.take().filter(|(_, is_active)| *is_active);
        let (episode, _) = active.ok_or(Fault::NotFound)?;
        Ok((plan, episode))
    }

    async fn refuse(self) -> Result<Response, Fault> {
        refuse(&self.desk, &self.viewer, &self.id, &self.draft).await
    }

    fn done(&self, ja: &str, en: &str) -> Response {
        done(&format!("/patients/{}", self.patient), self.viewer.say(ja, en))
    }
}

pub(super) async fn pause(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("pause", Right::ChangePlan))?;
    let today = act.today();
    let Some((first, last, reason)) = act.draft.pause(today) else { return act.refuse().await };
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    let within = act.within()?;
    within.pause(now, by, act.patient, (first, last), &reason).await.map_err(refused)?;
    Ok(act.done("架電を休止しました。", "The calls are paused."))
}

pub(super) async fn resume(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let act = Act::new(desk, id, posted, ("resume", Right::ChangePlan))?;
    let pause = act.draft.text("pause").and_then(|id| id.parse().ok()).ok_or(Fault::NotFound)?;
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    Ok(match act.within()?.end_pause(now, by, act.patient, pause).await? {
        Resumed::Resumed { slots: 0 } => act.done(
            "休止を終了しました。今日はもう架電がありません。",
            "The pause is ended. There are no more calls today.",
        ),
        Resumed::Resumed { slots } => act.done(
            &format!("休止を終了しました。今日の架電{slots}回を再開します。"),
            &format!("The pause is ended. Calls that will be made again today: {slots}."),
        ),
        Resumed::AlreadyOver => {
            act.done("この休止はすでに終わっています。", "This pause is over already.")
        }
    })
}

pub(super) async fn times(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("times", Right::ChangePlan))?;
    let (plan, episode) = act.episode().await?;
    let center = &plan.health_center;
    let window = Window::of(center);
    let Some(times) = act.draft.times(&window) else { return act.refuse().await };
    let book = act.desk.store.campaigns(act.viewer.now).await?;
    let in_force = book.in_force(center.id, &episode.arrangement, &act.desk.terms);
    let is_unwise = times.iter().any(|time| in_force.terms.cadence.is_unwise(*time));
    let wanted = Episode { call_times: times.clone(), ..episode };
    let slots = book.slots_on(act.today(), &wanted, center, &act.desk.terms);
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.set_call_times(now, by, act.patient, &times, &slots).await?;
    Ok(if is_unwise {
        act.done(
            "架電時刻を変更しました。当日の未応答の検討に間に合わない時刻があります。",
            "The times are changed. One of them is too late for the day's review of who was not reached.",
        )
    } else {
        act.done("架電時刻を変更しました。", "The times are changed.")
    })
}

pub(super) async fn arrangement(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("arrangement", Right::ChangePlan))?;
    let (plan, episode) = act.episode().await?;
    let center = &plan.health_center;
    let book = act.desk.store.campaigns(act.viewer.now).await?;
    let own = book.joinable(center.id, &episode.arrangement);
    let own: Vec<_> = own.into_iter().map(|one| one.id).collect();
    let Some((arrangement, reason)) = act.draft.arrangement(&own) else {
        return act.refuse().await;
    };
    let phones =
        plan.patient.phones.iter().enumerate().map(|(n, phone)| {
            (phone.number.clone(), act.draft.text(&format!("call{n}")).is_some())
        });
    let phones: Vec<_> = phones.collect();
    let wanted = Episode { arrangement: arrangement.clone(), ..episode };
    let slots = book.slots_on(act.today(), &wanted, center, &act.desk.terms);
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    let held = arrangement.held();
    let agreed = Agreed { arrangement, callable: &phones, reason: &reason };
    act.within()?.set_arrangement(now, by, act.patient, &agreed, &slots).await?;
    Ok(match held {
        None => act.done("約束を変更しました。", "The arrangement is changed."),
        Some(_) => act.done(
            "約束を変更しました。自動の電話はかかりません。報告がなければ職員の対応になります。",
            "It is changed. No machine calls; without a report it is a matter for staff.",
        ),
    })
}

pub(super) async fn last_day(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("last-day", Right::ChangePlan))?;
    let (_, episode) = act.episode().await?;
    let today = act.today();
    let Some(day) = act.draft.last_day(today, episode.first_day) else { return act.refuse().await };
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.set_last_day(now, by, act.patient, day).await?;
    Ok(act.done("終了予定日を変更しました。", "The last day is changed."))
}

pub(super) async fn end(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("end", Right::ChangePlan))?;
    let Some(reason) = act.draft.reason() else { return act.refuse().await };
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.end_observation(now, by, act.patient, &reason).await?;
    Ok(act.done("観察を終了しました。", "The observation is ended."))
}

pub(super) async fn observe(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("observe", Right::Observe))?;
    let patient = act.within()?.patient(act.patient).await?;
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    let questionnaire = act.desk.asked(now, &act.within()?, act.patient).await?;
    let Some(report) = act.draft.report(now, &patient, &questionnaire) else {
        return act.refuse().await;
    };
    let slot = act.within()?.observe(now, by, act.patient, &report).await?;
    Ok(match slot {
        Some(_) => act.done(
            "記録しました。今日の報告として扱います。",
            "It is recorded, and counts as today's report.",
        ),
        None => act.done("記録しました。", "It is recorded."),
    })
}

pub(super) async fn correct(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("correct", Right::Observe))?;
    let code = act.draft.text("code").unwrap_or_default();
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    let questionnaire = act.desk.asked(now, &act.within()?, act.patient).await?;
    let Some(correction) = act.draft.correction(&questionnaire, &code) else {
        return act.refuse().await;
    };
    act.within()?.correct(now, by, act.patient, &correction).await?;
    Ok(act.done(
        "訂正しました。元の値も残っています。",
        "It is corrected; what it was stays on record.",
    ))
}

pub(super) async fn note(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("note", Right::SeeHealth))?;
    let note: Option<StaffNoteId> = act.draft.text("note").and_then(|id| id.parse().ok());
    let note = note.ok_or(Fault::NotFound)?;
    let Some(text) = act.draft.note() else { return act.refuse().await };
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.add_note(now, by, act.patient, note, &text).await?;
    Ok(act.done("メモを追加しました。", "The note is added."))
}

pub(super) async fn contacts(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let mut act = Act::new(desk, id, posted, ("contacts", Right::ChangePlan))?;
    let Some(contacts) = act.draft.contacts() else { return act.refuse().await };
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.set_contacts(now, by, act.patient, &contacts).await?;
    Ok(act.done("連絡先を変更しました。", "The contacts are changed."))
}

pub(super) async fn gender(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let act = Act::new(desk, id, posted, ("gender", Right::ChangePlan))?;
    let gender = match act.draft.text("gender") {
        None => None,
        Some(word) => Some(Gender::parse(&word).ok_or(Fault::NotFound)?),
    };
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.set_gender(now, by, act.patient, gender).await?;
    Ok(act.done("性別を変更しました。", "The gender is changed."))
}

pub(super) async fn speech(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let act = Act::new(desk, id, posted, ("speech", Right::ChangePlan))?;
    let slow = act.draft.text("slow").is_some();
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.set_slow_speech(now, by, act.patient, slow).await?;
    Ok(if slow {
        act.done("次の架電からゆっくり話します。", "We will speak slowly from the next call on.")
    } else {
        act.done(
            "次の架電から普通の速さで話します。",
            "We will speak as usual from the next call on.",
        )
    })
}

pub(super) async fn consent(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    let act = Act::new(desk, id, posted, ("consent", Right::ChangePlan))?;
    let consent = act.draft.text("consent").and_then(|word| Consent::parse(&word));
    let consent = consent.ok_or(Fault::NotFound)?;
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.set_consent(now, by, act.patient, consent).await?;
    Ok(if consent == Consent::Refused {
        act.done(
            "録音の同意を変更しました。保存済みの録音も削除されます。",
            "It is changed. What was recorded is deleted, too.",
        )
    } else {
        act.done("録音の同意を変更しました。", "The consent is changed.")
    })
}

pub(super) async fn clinic(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    posted: Posted<Fields>,
) -> Result<Response, Fault> {
    // Who cares for whom is a matter of the centre, as its rules are.
    let act = Act::new(desk, id, posted, ("clinic", Right::ChangeRules))?;
    let clinic = match act.draft.text("clinic") {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| Fault::NotFound)?),
    };
    let (now, by) = (act.viewer.now, act.viewer.staff.id);
    act.within()?.assign_clinic(now, by, act.patient, clinic).await?;
    Ok(act.done("担当を変更しました。", "It is changed who cares for the patient."))
}
