//! Why an attempt whose time has come still waits: the conditions of the claim, each asked alone.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::{AttemptId, CampaignId, PatientId};
use crate::campaign::programme::State;
use crate::campaign::retry::SPACING;
use crate::campaign::window::{EARLIEST, LATEST};
use crate::store::campaign::{Means, Way, open_ones, ways_of_campaigns};
use crate::store::dial::{attempts_to_dial, conditions, has_room};
use crate::store::installation;
use crate::store::registry::{health_centers, time_of_day};
use crate::store::row::{Fields, millis};
use crate::store::{NodeStatus, Store, StoreError, TrunkStatus, TrunkWord};

/// Why an attempt waits whose time has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Waiting {
    /// The emergency stop is pulled.
    Stopped,
    /// No service that places calls is running.
    NoService,
    /// The clock of each service disagrees with the database.
    Clock,
    /// No trunk is up.
    NoTrunk,
    /// The law, or the hours of the centre or of the campaign, allow no call now.
    OutsideHours,
    /// The campaign does not run.
    CampaignRests(State),
    /// What the campaign asks is not there.
    NoQuestionnaire,
    /// The campaign is bound to trunks that are not there.
    OtherTrunks,
    /// The slot is settled, or its time has not come or is over.
    SlotClosed,
    /// The patient is on the line.
    PatientOnLine,
    /// Another call goes on to the same number.
    PhoneBusy,
    /// The number was called a moment ago.
    PhoneRests,
    /// The installation, the trunk or the campaign has all the calls that it may have.
    LinesFull,
    /// Nothing is in the way: others are called first.
    InTurn,
}

impl Waiting {
    /// For people.
    pub fn words(self) -> Bilingual {
        let (ja, en) = match self {
            Self::Stopped => ("発信停止中", "all calls are stopped"),
            Self::NoService => ("架電サービスが動いていません", "no service runs"),
            Self::Clock => ("時計がずれています", "the clocks disagree"),
            Self::NoTrunk => ("回線が不通です", "no line is up"),
            Self::OutsideHours => ("時間外", "outside the hours"),
            Self::CampaignRests(State::Paused) => ("一時停止中", "the campaign is paused"),
            Self::CampaignRests(_) => ("計画が実施中ではありません", "the campaign does not run"),
            Self::NoQuestionnaire => ("問診票がありません", "its questionnaire is not there"),
            Self::OtherTrunks => ("決められた回線がありません", "its trunks are not there"),
            Self::SlotClosed => ("枠が終わりました", "the slot is over"),
            Self::PatientOnLine => ("この方と通話中", "the patient is on the line"),
            Self::PhoneBusy => ("同じ番号に通話中", "the number is on the line"),
            Self::PhoneRests => {
                ("同じ番号への間隔をあけています", "the number is left alone for a moment")
            }
            Self::LinesFull => ("回線待ち", "all lines are taken"),
            Self::InTurn => ("順番待ち", "waits for its turn"),
        };
        Bilingual::fixed(ja, en)
    }
}

macro_rules! names_of {
    ($($name:ident $condition:literal)*) => {
        /// A condition of the claim.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        enum Condition {
            $($name),*
        }

        impl Condition {
            const ALL: [(Self, &'static str); [$($condition),*].len()] =
                [$((Self::$name, stringify!($name))),*];
        }
    };
}

macro_rules! each_of {
    ($($name:ident $condition:literal)*) => {
        concat!("select a.id, a.campaign_id", $(
            ", case when ", $condition, " then 1 else 0 end as \"", stringify!($name), "\""
        ),*)
    };
}

conditions!(names_of);

/// Every attempt of a patient that is due, and which conditions hold.
const CONDITIONS: &str = concat!(
    conditions!(each_of),
    attempts_to_dial!(),
    "a.patient_id = $4 and a.state = 'due' order by a.id"
);

/// What is known of the services that place calls.
#[derive(Clone, Debug)]
pub struct Services<'a> {
    /// The nodes that said something of late.
    pub nodes: &'a [&'a NodeStatus],
    /// The trunks, one of which must have a line free.
    pub trunks: &'a [&'a str],
    /// The groups that these are in; `None` if that is not known.
    pub trunk_groups: Option<&'a [Option<&'a str>]>,
    /// What can be asked; `None` if that is not known.
    pub questionnaires: Option<&'a [String]>,
}

impl Store {
    /// Why each attempt of a patient waits whose time has come. Those whose time has not come wait
    /// for it, and are left out.
    pub async fn waiting(
        &self,
        now: Timestamp,
        services: &Services<'_>,
        patient: PatientId,
    ) -> Result<Vec<(AttemptId, Waiting)>, StoreError> {
        let mut session = self.read().await?;
        let connection = session.connection();
        let of_all = of_all(connection, now, services).await?;
        let book = self.book(connection, now).await?;
        let centers = health_centers(connection).await?;
        let means = Means {
            trunk_groups: services.trunk_groups,
            questionnaires: services.questionnaires,
            goes_on: false,
        };
        let ways = ways_of_campaigns(connection, now, &book, &centers, means).await?;
        let rows = sqlx::query(CONDITIONS)
            .bind(millis(now))
            .bind(time_of_day(civil(now).time()))
            .bind(millis(now - SPACING))
            .bind(patient.to_string())
            .bind(open_ones(&ways))
            .fetch_all(&mut *connection)
            .await?;
        let mut is_full = !services.trunks.is_empty();
        for trunk in services.trunks {
            is_full &= !has_room(connection, now, trunk, false).await?;
        }
        let mut waiting = Vec::new();
        for row in &rows {
            let fields = Fields::new("attempt", row);
            let broken = broken(row)?;
            if broken.contains(&Condition::Due) {
                continue;
            }
            let campaign = fields.parsed_or_null("campaign_id")?;
            let own = broken.iter().find_map(|condition| why(*condition, campaign, &ways));
            let full = is_full.then_some(Waiting::LinesFull);
            let reason = of_all.or(own).or(full).unwrap_or(Waiting::InTurn);
            waiting.push((fields.parsed("id")?, reason));
        }
        Ok(waiting)
    }
}

impl Store {
    /// How many calls of these campaigns are due or under way.
    pub async fn in_hand(
        &self,
        now: Timestamp,
        campaigns: &[CampaignId],
    ) -> Result<usize, StoreError> {
        const COUNT: &str = "select count(*) as n from attempt a \
            where (a.state in ('dialing', 'talking') or (a.state = 'due' and a.due_at <= $1)) \
            and $2 like ('% ' || a.campaign_id || ' %')";
        let ids: Vec<String> = campaigns.iter().map(ToString::to_string).collect();
        let mut session = self.glance().await?;
        let row = sqlx::query(COUNT)
            .bind(millis(now))
            .bind(format!(" {} ", ids.join(" ")))
            .fetch_one(session.connection())
            .await?;
        Fields::new("attempt", &row).integer("n")
    }
}

impl Services<'_> {
    /// The groups of the trunks of nodes that are there; `None` if none of them has said.
    pub fn groups<'a>(
        now: Timestamp,
        nodes: &[&NodeStatus],
        trunks: &'a [TrunkStatus],
    ) -> Option<Vec<Option<&'a str>>> {
        let is_here = |trunk: &&TrunkStatus| {
            nodes.iter().any(|node| node.node == trunk.node && node.is_here(now))
        };
        let groups: Vec<_> =
            trunks.iter().filter(is_here).map(|trunk| trunk.group.as_deref()).collect();
        (!groups.is_empty()).then_some(groups)
    }
}

/// What is in the way of all calls.
async fn of_all(
    connection: &mut AnyConnection,
    now: Timestamp,
    services: &Services<'_>,
) -> Result<Option<Waiting>, StoreError> {
    let nodes = services.nodes;
    Ok(if !installation::may_dial(connection).await? {
        Some(Waiting::Stopped)
    } else if !(EARLIEST..LATEST).contains(&civil(now).time()) {
        Some(Waiting::OutsideHours)
    } else if nodes.is_empty() {
        Some(Waiting::NoService)
    } else if nodes.iter().all(|node| node.clock_ahead.is_some()) {
        Some(Waiting::Clock)
    } else if nodes.iter().all(|node| node.trunk != TrunkWord::Ready) {
        Some(Waiting::NoTrunk)
    } else {
        None
    })
}

/// The conditions that do not hold.
fn broken(row: &AnyRow) -> Result<Vec<Condition>, StoreError> {
    let fields = Fields::new("attempt", row);
    let mut broken = Vec::new();
    for (condition, column) in Condition::ALL {
        if !fields.flag(column)? {
            broken.push(condition);
        }
    }
    Ok(broken)
}

/// What a condition that does not hold means.
fn why(
    condition: Condition,
    campaign: Option<CampaignId>,
    ways: &HashMap<CampaignId, Way>,
) -> Option<Waiting> {
    match condition {
        // Not asked for here.
        Condition::Due | Condition::Wanted => None,
        Condition::InSlot => Some(Waiting::SlotClosed),
        Condition::InHours => Some(Waiting::OutsideHours),
        Condition::PhoneFree => Some(Waiting::PhoneBusy),
        Condition::PhoneRested => Some(Waiting::PhoneRests),
        Condition::PatientFree => Some(Waiting::PatientOnLine),
        Condition::CampaignOpen => {
            let way = campaign.and_then(|id| ways.get(&id)).copied();
            Some(match way.unwrap_or(Way::Rests(State::Archived)) {
                Way::Rests(state) => Waiting::CampaignRests(state),
                Way::OutsideHours => Waiting::OutsideHours,
                Way::NoQuestionnaire => Waiting::NoQuestionnaire,
                Way::OtherTrunks => Waiting::OtherTrunks,
                Way::Full | Way::Open => Waiting::LinesFull,
            })
        }
    }
}

/// A node that said nothing for so long is gone.
const GONE: SignedDuration = SignedDuration::from_secs(45);

impl NodeStatus {
    /// Whether the node has said something of late.
    pub fn is_here(&self, now: Timestamp) -> bool {
        now.duration_since(self.at).abs() < GONE
    }
}
