-- Why: negative tests shorten the days of recuperation, if the dated rules say so. A test is never
-- overwritten: whatever was wrong is withdrawn, by name, and stays readable.

create table lab_test (
    id text not null primary key,
    patient_id text not null,
    episode_id text not null,
    -- When the specimen was taken.
    collected_at integer not null,
    method text not null,
    result text not null,
    written_at integer not null,
    staff_id text not null references staff (id),
    withdrawn_at integer,
    withdrawn_by text references staff (id),
    -- Why it was withdrawn.
    reason text not null default '',
    constraint lab_test_of_episode foreign key (patient_id, episode_id)
        references episode (patient_id, id),
    constraint lab_test_method check (method in ('naat', 'antigen', 'kit')),
    constraint lab_test_result check (result in ('negative', 'positive', 'indeterminate')),
    constraint lab_test_withdrawn check (
        (withdrawn_at is null) = (withdrawn_by is null) and (withdrawn_at is null or reason <> '')
    )
) strict;

create index lab_test_of_patient on lab_test (patient_id, collected_at);
create index lab_test_negative on lab_test (collected_at, episode_id)
    where result = 'negative' and withdrawn_at is null;
