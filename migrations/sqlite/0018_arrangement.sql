-- Why: what is agreed with a patient beyond the times of day is kept with its history, as the times
-- are; the morning begins with a call to a staff telephone, whose result the next shift wants to see;
-- and people who share a telephone are called in one call, one after the other.

-- Calls that try out a trunk, asked for by hand: nobody of the registry is called.
create table test_call (
    id text not null primary key,
    asked_at integer not null,
    asked_by text not null,
    -- The number while the call waits, its last two digits from then on.
    phone text not null,
    state text not null,
    node text,
    trunk text,
    ended_at integer,
    -- How the telephone part ended; null if the call was not placed.
    disposition text,
    -- A key was asked for, and came.
    key_heard integer not null default 0,
    constraint test_call_state check (state in ('asked', 'placing', 'done')),
    constraint test_call_over check ((state = 'done') = (ended_at is not null)),
    constraint test_call_key check (key_heard in (0, 1))
) strict;

create index test_call_by_time on test_call (asked_at);

-- The attempt whose call went on with this one, on the same line; null for a call of its own.
alter table attempt add column continues text references attempt (id);

-- The two databases widen checks differently; from here on the texts are twins.
-- No row is touched by a wider check, so the text of the schema is all that has to change
-- (https://www.sqlite.org/lang_altertable.html, section 8).
pragma writable_schema = on;
update sqlite_schema set sql = replace(
    sql,
    '''recording_consent'', ''gender''',
    '''recording_consent'', ''gender'', ''campaign'', ''weekdays'', ''tolerance'', ''channel'', ''no_automation'', ''phone_consent'''
) where type = 'table' and name = 'patient_change';
pragma writable_schema = reset;
