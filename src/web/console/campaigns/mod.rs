//! 架電の設計: the campaigns of a centre, where each of them stands, and what may be done to it.

mod editor;
mod form;
mod words;

use std::collections::HashMap;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::CampaignId;
use crate::campaign::Campaign;
use crate::campaign::programme::{Action, State as Stands};
use crate::campaign::terms::Stock;
use crate::registry::{AuditEntry, Right};
use crate::store::{CampaignChange, Discarded, StoreError, Within};
use crate::web::Desk;
use crate::web::auth::{Nothing, Posted, Viewer, done};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

const TITLE: Bilingual = Bilingual::fixed("架電の設計", "Campaigns");

/// A reason is a line, and no report.
const LONGEST_REASON: usize = 200;

/// More copies of one campaign than this are a mistake.
const MOST_COPIES: u32 = 20;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/campaigns", get(list).post(draft))
        .route("/campaigns/{id}", get(editor::show).post(editor::save))
        .route("/campaigns/{id}/act", post(act))
        .route("/campaigns/{id}/discard", post(discard))
        .route("/campaigns/{id}/copy", post(copy))
        .route("/campaigns/{id}/caps", post(editor::set_caps))
        .route("/campaigns/{id}/start-day", post(editor::set_start))
}

fn within<'a>(desk: &'a Desk, viewer: &Viewer, right: Right) -> Result<Within<'a>, Fault> {
    viewer.must(right)?;
    Ok(desk.store.within(viewer.scope()?))
}

fn named(id: &str) -> Result<CampaignId, Fault> {
    id.parse().map_err(|_| Fault::NotFound)
}

/// What the campaigns have in hand at this moment.
struct InHand {
    patients: HashMap<Option<CampaignId>, u32>,
    lines: HashMap<CampaignId, u32>,
}

impl InHand {
    async fn of(within: &Within<'_>, viewer: &Viewer) -> Result<Self, Fault> {
        let patients = within.patients_by_campaign(civil(viewer.now).date()).await?;
        Ok(Self { patients, lines: within.lines_by_campaign().await? })
    }

    /// Patients under observation today; those in no campaign of their own are in the first one.
    fn patients(&self, campaign: &Campaign) -> u32 {
        let of = |key| self.patients.get(&key).copied().unwrap_or(0);
        let others = if campaign.is_default { of(None) } else { 0 };
        of(Some(campaign.id)) + others
    }

    fn lines(&self, campaign: &Campaign) -> u32 {
        self.lines.get(&campaign.id).copied().unwrap_or(0)
    }
}

async fn list(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    let within = within(&desk, &viewer, Right::SeePlan)?;
    let campaigns = within.campaigns(viewer.now).await?;
    let in_hand = InHand::of(&within, &viewer).await?;
    let stock = desk.stock(viewer.now, &within).await?;
    let say = |ja, en| viewer.say(ja, en);
    let may_change = viewer.may(Right::ChangePlan);
    Ok(ui::page(
        &viewer,
        Section::Campaigns,
        &TITLE,
        &html! {
            p.muted { (say(
                "だれに・いつ・何回・どの回線で電話するかを、計画ごとに決めます。公開した内容は変わらず、変更は新しい版になります。",
                "Whom we call, when, how often and through which lines. What was published never changes: a change is a new version.",
            )) }
            @if campaigns.is_empty() {
                (ui::empty(say(
                    "まだありません。架電サービスが動くと、最初の一つが作られます。",
                    "None yet: the first one is made when the service runs.",
                )))
            } @else {
                div.scroll tabindex="0" { table {
                    thead { tr {
                        th scope="col" { (say("計画", "Campaign")) }
                        th scope="col" { (say("状態", "State")) }
                        th.number scope="col" { (say("対象者(今日)", "Patients today")) }
                        th.number scope="col" { (say("使用中の回線", "Lines in use")) }
                        th scope="col" { (say("有効な版", "Version in force")) }
                        @if may_change { th scope="col" { (say("操作", "Actions")) } }
                    } }
                    tbody { @for campaign in &campaigns {
                        tr {
                            th scope="row" {
                                a href={ "/campaigns/" (campaign.id) } { (campaign.name) }
                                @if campaign.is_default {
                                    div.small.muted { (say("ほかの計画に入っていない方はこの計画です", "for all who are in no other one")) }
                                }
                            }
                            td {
                                (state(&viewer, campaign)) (starting(&viewer, campaign))
                                @for fault in &in_force(campaign, &stock) {
                                    div.small.red { (ui::icon(Icon::Alert)) (viewer.tell(fault)) }
                                }
                            }
                            td.number { (in_hand.patients(campaign)) }
                            td.number { (in_hand.lines(campaign)) @if let Some(cap) = campaign.caps.lines { " / " (cap) } }
                            td { (version(&viewer, campaign)) }
                            @if may_change { td { (actions(&viewer, campaign)) } }
                        }
                    } }
                } }
            }
            @if may_change {
                section.card {
                    h2 { (say("新しい計画", "New campaign")) }
                    form.row method="post" action="/campaigns" {
                        (ui::csrf(&viewer))
                        label.inline { (say("名前", "Name")) input name="name" required maxlength="60"; }
                        button.primary type="submit" { (say("下書きを作る", "Make a draft")) }
                    }
                    p.hint { (say(
                        "下書きは、公開して開始するまで、だれにも電話しません。",
                        "A draft calls nobody until it is published and started.",
                    )) }
                }
            }
        },
    ))
}

/// What the terms in force name and nobody has.
fn in_force(campaign: &Campaign, stock: &Stock) -> Vec<Bilingual> {
    let version = campaign.version.as_ref().filter(|_| !campaign.state.is_over());
    version.map(|version| version.terms.missing(stock)).unwrap_or_default()
}

/// Where a campaign stands, as word, icon and colour.
fn state(viewer: &Viewer, campaign: &Campaign) -> Markup {
    let (class, icon) = match campaign.state {
        Stands::Draft => ("badge", Icon::Note),
        Stands::Ready => ("badge check", Icon::Clock),
        Stands::Running => ("badge good", Icon::Play),
        Stands::Paused => ("badge caution", Icon::Pause),
        Stands::Ended => ("badge muted", Icon::Stop),
        Stands::Archived => ("badge muted", Icon::Import),
    };
    ui::badge(class, icon, viewer.tell(&campaign.state.label()))
}

fn starting(viewer: &Viewer, campaign: &Campaign) -> Markup {
    let is_waiting = matches!(campaign.state, Stands::Draft | Stands::Ready);
    html! {
        @if let (true, Some(day)) = (is_waiting, campaign.starts_on) {
            div.small { (viewer.say("開始予定", "starts on")) " " (day) }
        }
    }
}

fn version(viewer: &Viewer, campaign: &Campaign) -> Markup {
    html! {
        @match &campaign.version {
            None => span.muted { (viewer.say("なし", "none")) },
            Some(version) => {
                (viewer.say("第", "no. ")) (version.number) (viewer.say("版", ""))
                " " span.small.muted { (viewer.say("", "since ")) (civil(version.effective_at).strftime("%m/%d %H:%M")) (viewer.say("から", "")) }
            }
        }
        @if campaign.draft.is_some() && campaign.version.is_some() {
            " " (ui::badge("badge", Icon::Note, viewer.say("下書きあり", "draft")))
        }
    }
}

/// The buttons of what may be done now. Where calls stop, a reason is asked for.
fn actions(viewer: &Viewer, campaign: &Campaign) -> Markup {
    let address = format!("/campaigns/{}/act", campaign.id);
    let may = |action: Action| {
        let is_last_home = campaign.is_default && matches!(action, Action::End | Action::Archive);
        campaign.state.after(action).is_some() && action != Action::Publish && !is_last_home
    };
    html! {
        div.row.no-print {
            @for action in Action::ALL.into_iter().filter(|action| may(*action)) {
                @let label = action.label();
                @if stops(action) {
                    details {
                        summary { (viewer.tell(&label)) }
                        form.stack method="post" action=(address) {
                            (ui::csrf(viewer))
                            input type="hidden" name="action" value=(action.as_str());
                            @if action == Action::End {
                                p.hint { (viewer.say(
                                    "終了すると再開できません。今日の残りの電話は取りやめます。",
                                    "It cannot begin again; what is left of today is dropped.",
                                )) }
                            }
                            label { (viewer.say("理由", "Reason")) input name="reason" required maxlength=(LONGEST_REASON); }
                            button type="submit" class=[(action == Action::End).then_some("danger")] {
                                (ui::icon(if action == Action::End { Icon::Stop } else { Icon::Pause })) (viewer.tell(&label))
                            }
                        }
                    }
                } @else {
                    form method="post" action=(address) {
                        (ui::csrf(viewer))
                        input type="hidden" name="action" value=(action.as_str());
                        button type="submit" data-confirm=[question(viewer, action)] {
                            @if action != Action::Archive { (ui::icon(Icon::Play)) }
                            (viewer.tell(&label))
                        }
                    }
                }
            }
            @if is_discardable(campaign) {
                form method="post" action={ "/campaigns/" (campaign.id) "/discard" } {
                    (ui::csrf(viewer))
                    button.quiet type="submit" data-confirm=(viewer.say(
                        "下書きを破棄しますか。元に戻せません。公開した版は変わりません。",
                        "Discard the draft? It cannot be brought back. Published versions stay as they are.",
                    )) { (viewer.say("下書きを破棄", "Discard the draft")) }
                }
            }
            form method="post" action={ "/campaigns/" (campaign.id) "/copy" } {
                (ui::csrf(viewer))
                button.quiet type="submit" { (viewer.say("複製", "Duplicate")) }
            }
        }
    }
}

/// There is something that was never published.
fn is_discardable(campaign: &Campaign) -> bool {
    let has_terms = campaign.draft.is_some() && !campaign.state.is_over();
    campaign.state == Stands::Draft || has_terms
}

/// Patients hear from nobody after it.
fn stops(action: Action) -> bool {
    matches!(action, Action::Pause | Action::End)
}

fn question(viewer: &Viewer, action: Action) -> Option<&'static str> {
    match (action, viewer.say("ja", "en")) {
        (Action::Start, "ja") => Some("この計画を開始しますか。対象の方に電話がかかります。"),
        (Action::Start, _) => Some("Start this campaign? Its patients will be called."),
        (Action::Resume, "ja") => Some("この計画の架電を再開しますか。"),
        (Action::Resume, _) => Some("Let the calls of this campaign go on?"),
        _ => None,
    }
}

/// What is done to a campaign.
#[derive(Debug, Deserialize)]
struct Done {
    action: String,
    #[serde(default)]
    reason: String,
}

async fn act(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form }: Posted<Done>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangePlan)?;
    let id = named(&id)?;
    let action = Action::parse(&form.action).filter(|action| *action != Action::Publish);
    let action = action.ok_or(Fault::NotFound)?;
    let reason = form.reason.trim();
    if stops(action) && reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(Fault::Invalid(Bilingual::fixed(
            "理由を200文字以内で入力してください。",
            "Please give a reason of at most 200 characters.",
        )));
    }
    if matches!(action, Action::Start | Action::Resume) {
        let campaign = within.campaign(viewer.now, id).await?;
        let terms = campaign.version.as_ref().map(|version| &version.terms);
        if let Some(fault) = terms.and_then(|terms| terms.cannot_begin(desk.questionnaires.keys()))
        {
            return Err(Fault::Conflict(fault));
        }
    }
    let entry = AuditEntry { detail: reason.to_owned(), ..viewer.audit(action.done()) };
    let by = viewer.staff.name.expose().clone();
    let change = CampaignChange { by: &by, reason, entry: &entry };
    let state = within.act_on_campaign(viewer.now, id, action, &change).await;
    let state = state.map_err(not_so)?;
    let text = match viewer.say("ja", "en") {
        "ja" => format!("状態が「{}」になりました。", state.label().ja),
        _ => format!("The campaign is {} now.", state.label().en),
    };
    Ok(done("/campaigns", &text))
}

async fn discard(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangePlan)?;
    let campaign = within.campaign(viewer.now, named(&id)?).await?;
    let entry = AuditEntry { detail: campaign.name, ..viewer.audit("campaign.discarded") };
    let by = viewer.staff.name.expose().clone();
    let change = CampaignChange { by: &by, reason: "", entry: &entry };
    let discarded = within.discard_draft(viewer.now, campaign.id, &change).await.map_err(not_so)?;
    let to = match discarded {
        Discarded::Campaign => "/campaigns".to_owned(),
        Discarded::Terms => format!("/campaigns/{}", campaign.id),
    };
    Ok(done(&to, viewer.say("下書きを破棄しました。", "The draft is discarded.")))
}

fn not_so(fault: StoreError) -> Fault {
    match fault {
        StoreError::Conflict { constraint } if constraint == "campaign_in_use" => {
            Fault::Conflict(Bilingual::fixed(
                "この下書きに入っている方がいます。患者のページで別の計画に移してから破棄してください。",
                "Patients are in this draft. Move them to another campaign on their pages first.",
            ))
        }
        StoreError::Conflict { constraint } if constraint == "campaign_default" => {
            Fault::Conflict(Bilingual::fixed(
                "ほかの計画に入っていない方の計画なので、終了できません。一時停止はできます。",
                "It is the campaign of all who are in no other one and cannot end; it can be paused.",
            ))
        }
        StoreError::Conflict { constraint } if constraint == "campaign_name" => {
            Fault::Conflict(Bilingual::fixed(
                "同じ名前の計画があります。別の名前にしてください。",
                "There is a campaign of this name. Please choose another one.",
            ))
        }
        other => other.into(),
    }
}

/// What a new campaign is called.
#[derive(Debug, Deserialize)]
struct NewOne {
    name: String,
}

async fn draft(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<NewOne>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangePlan)?;
    let name = form.name.trim();
    if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        return Err(Fault::Invalid(Bilingual::fixed(
            "名前を1〜60文字で入力してください。",
            "Please give a name of 1 to 60 characters.",
        )));
    }
    let entry = AuditEntry { detail: name.to_owned(), ..viewer.audit("campaign.drafted") };
    let by = viewer.staff.name.expose().clone();
    let change = CampaignChange { by: &by, reason: "", entry: &entry };
    let drafted = within.draft_campaign(viewer.now, name, &desk.terms, &change).await;
    let id = drafted.map_err(not_so)?;
    Ok(done(&format!("/campaigns/{id}"), viewer.say("下書きを作りました。", "The draft is made.")))
}

async fn copy(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangePlan)?;
    let campaign = within.campaign(viewer.now, named(&id)?).await?;
    let latest = within.campaign_versions(viewer.now, campaign.id).await?.into_iter().next();
    let terms = campaign.draft.or_else(|| latest.map(|latest| (*latest.terms).clone()));
    let terms = terms.unwrap_or_else(|| (*desk.terms).clone());
    let stem: String = campaign.name.chars().take(50).collect();
    let by = viewer.staff.name.expose().clone();
    for n in 1..=MOST_COPIES {
        let number = if n == 1 { String::new() } else { n.to_string() };
        let name = format!("{stem}(写し{number})");
        let entry = AuditEntry { detail: name.clone(), ..viewer.audit("campaign.drafted") };
        let change = CampaignChange { by: &by, reason: "", entry: &entry };
        match within.draft_campaign(viewer.now, &name, &terms, &change).await {
            Err(StoreError::Conflict { .. }) => {}
            made => {
                let to = format!("/campaigns/{}", made?);
                let text =
                    viewer.say("複製して下書きを作りました。", "A copy is made, as a draft.");
                return Ok(done(&to, text));
            }
        }
    }
    Err(Fault::Conflict(Bilingual::fixed(
        "写しが多すぎます。使わない計画を整理してください。",
        "There are too many copies already.",
    )))
}
