-- Why: an engineer has to see which line of which node is down, and why; a list is read the same way
-- every month, so what staff once said about its headings is remembered; and staff read age and sex
-- beside each other. Who has taken a case is told by the account: two people may share a name.

-- What each node last said of each of its trunks.
create table trunk_status (
    node text not null,
    trunk text not null,
    at bigint not null,
    state text not null,
    -- Since when it is so.
    since bigint not null,
    registration text not null,
    lines_in_use bigint not null,
    lines_limit bigint not null,
    -- What went wrong last, and when; empty and null if nothing did. It stays when all is well again.
    last_error text not null,
    last_error_at bigint,
    constraint trunk_status_of_node primary key (node, trunk),
    constraint trunk_status_state check (state in ('ready', 'registering', 'failed')),
    constraint trunk_status_registration check (registration in (
        'none', 'registering', 'registered', 'refused', 'lost'
    )),
    constraint trunk_status_error check ((last_error = '') = (last_error_at is null))
);

-- Administrative gender (FHIR R5); null if nobody told.
alter table patient add column gender text
    constraint patient_gender check (gender is null or gender in (
        'male', 'female', 'other', 'unknown'
    ));

-- As before, with one more kind of change.
create table patient_change_again (
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
        'recording_consent', 'gender'
    ))
);

insert into patient_change_again (
    id, patient_id, staff_id, kind, before, after, reason, changed_at
) select id, patient_id, staff_id, kind, before, after, reason, changed_at from patient_change;

drop table patient_change;

alter table patient_change_again rename to patient_change;

create index patient_change_of_patient on patient_change (patient_id, changed_at);

-- Which column a heading stands for that the program does not know by itself; empty if the column is
-- not to be read.
create table import_heading (
    health_center_id text not null references health_center (id),
    -- The heading without what makes no difference: width, case, blanks.
    heading text not null,
    field text not null,
    set_by text not null references staff (id),
    set_at bigint not null,
    constraint import_heading_once primary key (health_center_id, heading)
);

-- What staff said about a list beside the list itself, as JSON: what its headings stand for, and rows
-- that they put right. It goes with the content.
alter table import_batch add column reading text;

-- A patient's part in the lists that were taken over.
create index import_row_of_patient on import_row (patient_id, at);
create index import_row_by_age on import_row (at);

-- The holder of a case is noted in the list by the account, and no longer by the name.
insert into health_touched (patient_id) select k.patient_id from escalation_case k
    where k.state in ('open', 'acknowledged');

