-- Why: what is agreed with a patient beyond the times of day is kept with its history, as the times
-- are; the morning begins with a call to a staff telephone, whose result the next shift wants to see;
-- and people who share a telephone are called in one call, one after the other.

-- Calls that try out a trunk: nobody of the registry is called.
create table test_call (
    id text not null primary key,
    placed_at integer not null,
    ended_at integer not null,
    placed_by text not null,
    trunk text not null,
    -- Its last two digits: the whole number is nobody's business.
    phone_end text not null,
    disposition text not null,
    -- A key was asked for, and came.
    key_heard integer not null,
    constraint test_call_key check (key_heard in (0, 1)),
    constraint test_call_times check (ended_at >= placed_at)
) strict;

create index test_call_by_time on test_call (placed_at);

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
