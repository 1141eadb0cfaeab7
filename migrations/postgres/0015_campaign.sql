-- Why: whom a centre calls, when, how often and through which lines is decided for a programme and
-- not for each patient. Terms that were published are never changed: a later version follows them,
-- and every slot and attempt names the version that made it.

create table campaign (
    id text not null primary key,
    health_center_id text not null references health_center (id),
    name text not null,
    state text not null,
    -- Patients who were put into no campaign are in this one.
    is_default bigint not null,
    -- When it starts by itself, if it is ready.
    starts_on text,
    -- What it may take of the trunks; null for all that they bear.
    lines bigint,
    calls_per_minute bigint,
    -- Terms that are being written, as JSON.
    draft text,
    created_at bigint not null,
    -- When and by whom its state was changed last, and why.
    changed_at bigint not null,
    changed_by text not null,
    reason text not null,
    constraint campaign_name unique (health_center_id, name),
    constraint campaign_state check (
        state in ('draft', 'ready', 'running', 'paused', 'ended', 'archived')
    ),
    constraint campaign_default check (is_default in (0, 1)),
    constraint campaign_caps check (
        (lines is null or lines >= 0) and (calls_per_minute is null or calls_per_minute >= 0)
    )
);

create unique index campaign_default_of_center on campaign (health_center_id) where is_default = 1;

create table campaign_version (
    campaign_id text not null references campaign (id),
    number bigint not null,
    -- JSON; never changed.
    terms text not null,
    effective_at bigint not null,
    published_at bigint not null,
    published_by text not null,
    constraint campaign_version_number primary key (campaign_id, number),
    constraint campaign_version_first check (number >= 1)
);

-- Days on which a centre is closed, beside the public holidays.
create table center_closure (
    health_center_id text not null references health_center (id),
    date text not null,
    reason text not null,
    constraint center_closure_date primary key (health_center_id, date)
);

-- What all campaigns together may take; null for all that the trunks bear.
alter table installation add column lines bigint;
alter table installation add column calls_per_minute bigint;

-- What a trunk may take, at this moment; those without a row bear what their node is set to.
create table trunk_cap (
    trunk text not null primary key,
    lines bigint,
    calls_per_minute bigint,
    changed_at bigint not null,
    changed_by text not null
);

alter table episode add column campaign_id text references campaign (id);
-- Monday is bit 0.
alter table episode add column weekdays bigint not null default 127
    constraint episode_weekdays check (weekdays between 1 and 127);
alter table episode add column tolerance_minutes bigint
    constraint episode_tolerance check (tolerance_minutes between 10 and 480);
alter table episode add column channel text not null default 'telephone'
    constraint episode_channel check (channel in ('telephone', 'web', 'staff'));
-- A doctor's order that no machine calls: who gave it, and why.
alter table episode add column no_automation text;

-- Whether this telephone may be called: each number has a consent of its own.
alter table patient_phone add column consent text not null default 'given'
    constraint patient_phone_consent check (consent in ('given', 'refused'));

alter table slot add column kind text not null default 'planned'
    constraint slot_kind check (
        kind in ('planned', 'by_hand', 'remeasure', 'recall', 'farewell')
    );
alter table slot add column campaign_id text references campaign (id);
alter table slot add column campaign_version bigint;

alter table attempt add column campaign_id text references campaign (id);
alter table attempt add column campaign_version bigint;
-- Through which trunk it was dialled.
alter table attempt add column trunk text;
-- The lower the sooner: 1 what is urgent, 2 retries, 3 first calls.
alter table attempt add column priority bigint not null default 3
    constraint attempt_priority check (priority between 1 and 3);

create index slot_due_to on slot (due_to) where state = 'due';
-- What waits, campaign by campaign: a large one must not hide a small one.
create index slot_due_of_campaign on slot (campaign_id, due_from) where state = 'due';
create index attempt_due_by_priority on attempt (priority, due_at, id) where state = 'due';
-- What is under way, and what was dialled a moment ago: for the caps.
create index attempt_live_of_campaign on attempt (campaign_id)
    where state in ('dialing', 'talking');
create index attempt_dialed_at on attempt (dialed_at) where dialed_at is not null;

-- The two databases widen checks differently; from here on the texts are twins.
-- Calls beside the planned ones (to measure again, by hand, a farewell) have numbers above 4.
alter table slot drop constraint slot_number;
alter table slot add constraint slot_number check (number between 1 and 99);
