-- Why: what is agreed with a patient beyond the times of day is kept with its history, as the times
-- are; the morning begins with a call to a staff telephone, whose result the next shift wants to see;
-- and people who share a telephone are called in one call, one after the other.

-- Calls that try out a trunk, asked for by hand: nobody of the registry is called.
create table test_call (
    id text not null primary key,
    asked_at bigint not null,
    asked_by text not null,
    -- The number while the call waits, its last two digits from then on.
    phone text not null,
    state text not null,
    node text,
    trunk text,
    ended_at bigint,
    -- How the telephone part ended; null if the call was not placed.
    disposition text,
    -- A key was asked for, and came.
    key_heard bigint not null default 0,
    constraint test_call_state check (state in ('asked', 'placing', 'done')),
    constraint test_call_over check ((state = 'done') = (ended_at is not null)),
    constraint test_call_key check (key_heard in (0, 1))
);

create index test_call_by_time on test_call (asked_at);

-- The attempt whose call went on with this one, on the same line; null for a call of its own.
alter table attempt add column continues text references attempt (id);

-- The two databases widen checks differently; from here on the texts are twins.
alter table patient_change drop constraint patient_change_kind;
alter table patient_change add constraint patient_change_kind check (kind in (
    'call_times', 'last_day', 'observation_end', 'slow_speech', 'clinic', 'contacts',
    'recording_consent', 'gender', 'campaign', 'weekdays', 'tolerance', 'channel',
    'no_automation', 'phone_consent'
));
