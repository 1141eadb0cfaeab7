-- Why: an observation is immutable; a correction is a new one that supersedes it, at most once.
-- The same answer, or the same form sent twice, makes one observation.

create table observation (
    id text not null primary key,
    patient_id text not null references patient (id),
    slot_id text references slot (id),
    attempt_id text,
    seq bigint,
    code text not null,
    value text not null,
    effective_at bigint not null,
    respondent text not null,
    channel text not null,
    questionnaire text not null,
    supersedes text references observation (id),
    recorded_at bigint not null,
    evaluated_at bigint,
    constraint observation_answer foreign key (attempt_id, seq) references answer (attempt_id, seq),
    constraint observation_source check ((attempt_id is null) = (seq is null)),
    constraint observation_channel check (
        channel in ('outbound_call', 'inbound_call', 'web', 'staff')
    ),
    constraint observation_respondent check (respondent in (
        'patient', 'family', 'unidentified', 'not_here', 'nobody', 'machine'
    ))
);

create unique index observation_of_answer on observation (attempt_id, seq, code)
    where attempt_id is not null;
create unique index observation_of_report on observation (patient_id, channel, effective_at, code)
    where attempt_id is null;
create unique index observation_corrected_once on observation (supersedes)
    where supersedes is not null;
create index observation_of_patient on observation (patient_id, effective_at);
create index observation_of_slot on observation (slot_id);
create index observation_to_evaluate on observation (recorded_at) where evaluated_at is null;
