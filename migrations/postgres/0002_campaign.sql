-- Why: a slot is what is owed to a patient on a date; an attempt is one try at it. The row of an
-- attempt says that it is dialled before the call is placed, so that no crash can make us call
-- twice; the unique indexes make it impossible to call somebody who is already on the line.

create table slot (
    id text not null primary key,
    episode_id text not null references episode (id),
    patient_id text not null references patient (id),
    date text not null,
    number bigint not null,
    due_from bigint not null,
    due_to bigint not null,
    state text not null,
    reason text,
    created_at bigint not null,
    settled_at bigint,
    evaluated_at bigint,
    constraint slot_of_the_day unique (episode_id, date, number),
    constraint slot_number check (number between 1 and 4),
    constraint slot_window check (due_from < due_to),
    constraint slot_state check (state in (
        'due', 'in_progress', 'reported', 'partial', 'unreached', 'skipped', 'expired'
    )),
    constraint slot_settled check ((state in ('due', 'in_progress')) = (settled_at is null))
);

create index slot_due on slot (due_from) where state = 'due';
create index slot_by_date on slot (date);
create index slot_of_patient on slot (patient_id, date);
create index slot_to_evaluate on slot (settled_at)
    where evaluated_at is null and state in ('unreached', 'partial', 'expired');

create table attempt (
    id text not null primary key,
    slot_id text not null references slot (id),
    patient_id text not null references patient (id),
    number bigint not null,
    phone text not null,
    due_at bigint not null,
    state text not null,
    -- Who makes the call, and until when the others believe it.
    node text,
    lease_until bigint,
    dialed_at bigint,
    ringing_at bigint,
    answered_at bigint,
    ended_at bigint,
    disposition text,
    code bigint,
    respondent text,
    completion text,
    created_at bigint not null,
    evaluated_at bigint,
    constraint attempt_of_slot unique (slot_id, number),
    constraint attempt_number check (number >= 1),
    constraint attempt_phone check (phone like '+81%'),
    constraint attempt_state check (state in ('due', 'dialing', 'talking', 'done', 'dropped')),
    constraint attempt_disposition check (disposition in (
        'answered', 'busy', 'no_answer', 'unreachable', 'declined', 'invalid_number',
        'congestion', 'trunk_error', 'cancelled', 'interrupted'
    )),
    constraint attempt_respondent check (respondent in (
        'patient', 'family', 'unidentified', 'not_here', 'nobody', 'machine'
    )),
    constraint attempt_completion check (completion in (
        'complete', 'partial', 'no_input', 'refused', 'not_identified', 'hung_up', 'system_error'
    )),
    constraint attempt_lease check (
        (state in ('dialing', 'talking')) = (lease_until is not null)
        and (lease_until is null or node is not null)
    ),
    constraint attempt_dialed check ((state in ('due', 'dropped')) = (dialed_at is null)),
    constraint attempt_talking check (state <> 'talking' or answered_at is not null),
    constraint attempt_done check (
        (state = 'done') = (disposition is not null) and (state = 'done') = (ended_at is not null)
    )
);

create unique index attempt_open_of_slot on attempt (slot_id)
    where state in ('due', 'dialing', 'talking');
create unique index attempt_live_to_number on attempt (phone)
    where state in ('dialing', 'talking');
create unique index attempt_live_of_patient on attempt (patient_id)
    where state in ('dialing', 'talking');
create index attempt_of_patient on attempt (patient_id, dialed_at);
create index attempt_due on attempt (due_at, id) where state = 'due';
-- A telephone is left alone for a while after each call (端末設備等規則 第32条の3).
create index attempt_ended_to_number on attempt (phone, ended_at) where ended_at is not null;
create index attempt_ended on attempt (ended_at) where ended_at is not null;
create index attempt_to_evaluate on attempt (ended_at)
    where state = 'done' and evaluated_at is null;
