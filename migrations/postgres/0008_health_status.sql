-- Why: 健康状態一覧 is looked at all day by everybody, for up to 100,000 people at once, and is put
-- together from seven tables. So what it shows of each patient is kept ready in one row, and is made
-- anew in the same transaction as whatever changed it: triggers note whom a change concerns, and no
-- commit leaves a note behind. What is searched and sorted has columns; what is only shown is JSON.

create table health_status (
    -- Not a reference: the row goes when the patient does.
    patient_id text not null primary key,
    -- The day that it speaks of; empty before the first.
    day text not null,
    -- Whether an active episode covers the day. Others have a row to be locked by, and no more.
    is_observed bigint not null,
    health_center_id text not null,
    -- Empty if no clinic looks after the patient.
    clinic_id text not null,
    registration_number text not null,
    kana text not null,
    -- Name, kana, registration number and the ends of telephone numbers, without spaces.
    search text not null,
    last_day text not null,
    -- The lower the sooner somebody must look.
    need bigint not null,
    report text not null,
    fever_days bigint not null,
    -- Who has taken the case; empty if nobody has, or there is none.
    owner text not null,
    -- All that the tabs and the funnel count, in one number: few groups are counted fast.
    facet bigint not null,
    shown text not null,
    -- How often the row was changed: the sum over all tells a page that it is out of date.
    version bigint not null,
    constraint health_status_observed check (is_observed in (0, 1)),
    constraint health_status_report check (report in ('none', 'partial', 'reported'))
);

-- The order of the list, with all that it is filtered by.
create index health_status_by_need on health_status (
    health_center_id, need, kana, registration_number, report, fever_days, last_day, clinic_id,
    patient_id, search
) where is_observed = 1;
create index health_status_of_owner on health_status (
    health_center_id, owner, need, kana, registration_number
) where is_observed = 1 and owner <> '';
create index health_status_by_facet on health_status (
    health_center_id, clinic_id, facet, version
) where is_observed = 1;
create index health_status_by_day on health_status (day) where is_observed = 1;

-- The day that the rows speak of, or are being moved to.
create table health_day (
    id bigint not null primary key,
    day text not null,
    constraint health_day_one check (id = 1)
);

insert into health_day (id, day) values (1, '');

-- Whom the transaction under way concerns.
create table health_touched (
    patient_id text not null
);

insert into health_touched (patient_id) select id from patient;

-- A week of temperature and SpO2 is drawn for everybody on the page.
create index observation_vital on observation (patient_id, effective_at)
    where code in ('temperature', 'spo2');

-- Views of the list that somebody has saved: the query of its address under a name.
create table saved_view (
    staff_id text not null references staff (id),
    name text not null,
    query text not null,
    created_at bigint not null,
    constraint saved_view_name primary key (staff_id, name)
);

-- What each node that places calls last said of itself, for pages that another node serves.
create table node_status (
    node text not null primary key,
    at bigint not null,
    lines_in_use bigint not null,
    lines_limit bigint not null,
    -- Calls per minute that the pace allows.
    calls_per_minute bigint not null,
    trunk text not null,
    prompts text not null,
    last_error text not null,
    constraint node_status_trunk check (trunk in ('ready', 'registering', 'failed')),
    constraint node_status_prompts check (prompts in ('complete', 'incomplete'))
);

-- The two databases write triggers differently; from here on the texts are twins.

create function note_new_patient_id() returns trigger language plpgsql as
    $$ begin insert into health_touched (patient_id) values (new.patient_id); return null; end $$;
create function note_old_patient_id() returns trigger language plpgsql as
    $$ begin insert into health_touched (patient_id) values (old.patient_id); return null; end $$;
create function note_new_id() returns trigger language plpgsql as
    $$ begin insert into health_touched (patient_id) values (new.id); return null; end $$;
create function note_old_id() returns trigger language plpgsql as
    $$ begin insert into health_touched (patient_id) values (old.id); return null; end $$;

create trigger patient_touched_by_insert after insert on patient
    for each row execute function note_new_id();
create trigger patient_touched_by_update after update on patient
    for each row execute function note_new_id();
create trigger patient_touched_by_delete after delete on patient
    for each row execute function note_old_id();
create trigger patient_phone_touched_by_insert after insert on patient_phone
    for each row execute function note_new_patient_id();
create trigger patient_phone_touched_by_update after update on patient_phone
    for each row execute function note_new_patient_id();
create trigger patient_phone_touched_by_delete after delete on patient_phone
    for each row execute function note_old_patient_id();
create trigger episode_touched_by_insert after insert on episode
    for each row execute function note_new_patient_id();
create trigger episode_touched_by_update after update on episode
    for each row execute function note_new_patient_id();
create trigger episode_touched_by_delete after delete on episode
    for each row execute function note_old_patient_id();
create trigger slot_touched_by_insert after insert on slot
    for each row execute function note_new_patient_id();
create trigger slot_touched_by_update after update of state, reason, due_from, due_to on slot
    for each row execute function note_new_patient_id();
create trigger slot_touched_by_delete after delete on slot
    for each row execute function note_old_patient_id();
create trigger attempt_touched_by_insert after insert on attempt
    for each row execute function note_new_patient_id();
create trigger attempt_touched_by_update after update of state, due_at, respondent on attempt
    for each row execute function note_new_patient_id();
create trigger attempt_touched_by_delete after delete on attempt
    for each row execute function note_old_patient_id();
create trigger observation_touched_by_insert after insert on observation
    for each row execute function note_new_patient_id();
create trigger observation_touched_by_delete after delete on observation
    for each row execute function note_old_patient_id();
create trigger escalation_case_touched_by_insert after insert on escalation_case
    for each row execute function note_new_patient_id();
create trigger escalation_case_touched_by_update after update on escalation_case
    for each row execute function note_new_patient_id();
create trigger escalation_case_touched_by_delete after delete on escalation_case
    for each row execute function note_old_patient_id();
