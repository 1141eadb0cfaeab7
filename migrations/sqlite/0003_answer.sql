-- Why: an answer is worth more than the call that it was given in. It is committed before the next
-- question is asked, with the keys as they were pressed, and is never changed afterwards; only the
-- mark that it was looked at is.

create table answer (
    attempt_id text not null references attempt (id),
    seq integer not null,
    slot_id text not null references slot (id),
    patient_id text not null references patient (id),
    question text not null,
    asked integer not null,
    keys text not null,
    answer text not null,
    respondent text not null,
    questionnaire text not null,
    given_at integer not null,
    recorded_at integer not null,
    observed_at integer,
    constraint answer_of_attempt primary key (attempt_id, seq),
    constraint answer_seq check (seq >= 0),
    constraint answer_respondent check (respondent in (
        'patient', 'family', 'unidentified', 'not_here', 'nobody', 'machine'
    ))
) strict;

create index answer_of_slot on answer (slot_id);
create index answer_to_observe on answer (recorded_at) where observed_at is null;
