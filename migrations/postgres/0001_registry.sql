-- Why: a list is imported again and again, so a person is known by the number that the health
-- centre gave (never by name), and the telephones keep the order in which they are to be dialled.
-- Times of day and dates are ISO text, moments are milliseconds UTC, flags are 0 or 1.

create table health_center (
    id text not null primary key,
    code text not null,
    name text not null,
    kana text not null,
    desk_phone text not null,
    opens_at text not null,
    closes_at text not null,
    created_at bigint not null,
    updated_at bigint not null,
    constraint health_center_code unique (code),
    constraint health_center_hours check (opens_at < closes_at)
);

create table patient (
    id text not null primary key,
    health_center_id text not null references health_center (id),
    registration_number text not null,
    birth_date text not null,
    name text not null,
    kana text not null,
    language text not null,
    has_thermometer bigint not null,
    has_oximeter bigint not null,
    slow_speech bigint not null,
    lives_alone bigint not null,
    -- The words of the risks, each once, with a space between them.
    risks text not null,
    created_at bigint not null,
    updated_at bigint not null,
    constraint patient_registration unique (health_center_id, registration_number),
    constraint patient_flags check (
        has_thermometer in (0, 1) and has_oximeter in (0, 1)
        and slow_speech in (0, 1) and lives_alone in (0, 1)
    )
);

create index patient_number on patient (registration_number);

create table patient_phone (
    patient_id text not null references patient (id),
    position bigint not null,
    number text not null,
    role text not null,
    constraint patient_phone_position primary key (patient_id, position),
    constraint patient_phone_number unique (patient_id, number),
    constraint patient_phone_role check (role in ('home', 'mobile', 'family')),
    -- Nothing that is not Japanese E.164 is ever dialled.
    constraint patient_phone_e164 check (number like '+81%')
);

create table episode (
    id text not null primary key,
    patient_id text not null references patient (id),
    first_day text not null,
    last_day text not null,
    -- One to four times of day, ascending, with a space between them.
    call_times text not null,
    state text not null,
    created_at bigint not null,
    updated_at bigint not null,
    constraint episode_days check (first_day <= last_day),
    constraint episode_state check (state in ('active', 'ended'))
);

create unique index episode_active_of_patient on episode (patient_id) where state = 'active';
create index episode_days_active on episode (last_day, first_day) where state = 'active';
