-- Why: what staff know, agree and decide about a patient stands beside what the telephone heard,
-- with the name of who wrote it. Nothing here is overwritten without a trace: a correction is a new
-- observation with a reason, and each change of a setting keeps what was before.

alter table observation add column staff_id text references staff (id);
-- By telephone or at a visit, if staff wrote it down.
alter table observation add column way text;
-- Why it was corrected.
alter table observation add column reason text;
-- One for each form that was shown: sent twice, it is stored once.
alter table observation add column report_id text;

create unique index observation_of_form on observation (report_id, code)
    where report_id is not null;

create table patient_note (
    id text not null primary key,
    patient_id text not null references patient (id),
    staff_id text not null references staff (id),
    text text not null,
    written_at bigint not null
);

create index patient_note_of_patient on patient_note (patient_id, written_at);

-- Days on which a patient is not called. It is asked for again when an attempt is claimed.
create table patient_pause (
    id text not null primary key,
    patient_id text not null references patient (id),
    first_day text not null,
    last_day text not null,
    reason text not null,
    staff_id text not null references staff (id),
    paused_at bigint not null,
    ended_at bigint,
    ended_by text references staff (id),
    constraint patient_pause_days check (first_day <= last_day),
    constraint patient_pause_ended check ((ended_at is null) = (ended_by is null))
);

create index patient_pause_of_patient on patient_pause (patient_id, last_day);
create index patient_pause_in_force on patient_pause (last_day) where ended_at is null;

-- Ending a pause brings back the slots that were skipped for it, and no others.
alter table slot add column pause_id text references patient_pause (id);

create index slot_of_pause on slot (pause_id) where pause_id is not null;

-- A call that was under way when the observation was ended is not made again.
create index episode_ended on episode (last_day) where state = 'ended';

-- All cases of a patient, also those that were resolved.
create index case_of_patient_at on escalation_case (patient_id, opened_at);

-- Whom staff may ask about a patient who cannot be reached. A machine never calls these numbers.
create table contact_plan (
    patient_id text not null references patient (id),
    position bigint not null,
    relation text not null,
    name text not null,
    phone text not null,
    is_keyholder bigint not null,
    note text not null,
    constraint contact_plan_position primary key (patient_id, position),
    constraint contact_plan_relation check (relation in (
        'family', 'neighbour', 'welfare_commissioner', 'care_manager', 'doctor', 'landlord', 'other'
    )),
    constraint contact_plan_keyholder check (is_keyholder in (0, 1))
);

create table patient_change (
    id text not null primary key,
    patient_id text not null references patient (id),
    staff_id text not null references staff (id),
    kind text not null,
    before text not null,
    after text not null,
    reason text not null,
    changed_at bigint not null,
    constraint patient_change_kind check (kind in (
        'call_times', 'last_day', 'observation_end', 'slow_speech', 'clinic', 'contacts',
        'recording_consent'
    ))
);

create index patient_change_of_patient on patient_change (patient_id, changed_at);
