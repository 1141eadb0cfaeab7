-- Why: an answer is worth more than the call that it was given in. It is committed before the next
-- question is asked, with the keys as they were pressed, and is never changed afterwards; only the
-- mark that it was looked at is.

create table answer (
    attempt_id text not null references attempt (id),
    seq bigint not null,
    slot_id text not null references slot (id),
    patient_id text not null references patient (id),
    question text not null,
    asked bigint not null,
    keys text not null,
    answer text not null,
    respondent text not null,
    questionnaire text not null,
    given_at bigint not null,
    recorded_at bigint not null,
    observed_at bigint,
    constraint answer_of_attempt primary key (attempt_id, seq),
    constraint answer_seq check (seq >= 0),
    constraint answer_respondent check (respondent in (
        'patient', 'family', 'unidentified', 'not_here', 'nobody', 'machine'
    ))
);

create index answer_of_slot on answer (slot_id);
create index answer_to_observe on answer (recorded_at) where observed_at is null;
