-- Why: people work here under their own names. What they may see is decided by their roles and by
-- the centre (or the contracted clinic) they belong to, and whatever they look at is written into a
-- chain of events in which no link can be changed or taken out without breaking all that follow.

create table clinic (
    id text not null primary key,
    health_center_id text not null references health_center (id),
    code text not null,
    name text not null,
    created_at integer not null,
    constraint clinic_code unique (health_center_id, code)
) strict;

alter table patient add column clinic_id text references clinic (id);

create index patient_of_clinic on patient (clinic_id) where clinic_id is not null;

create table staff (
    id text not null primary key,
    -- Null for those who serve the whole installation, and so see no patient.
    health_center_id text references health_center (id),
    clinic_id text references clinic (id),
    login text not null,
    name text not null,
    -- The words of the roles, each once, with a space between them.
    roles text not null,
    state text not null,
    language text not null,
    -- A PHC string (argon2id); null for those who sign in through an identity provider.
    password text,
    must_change_password integer not null,
    -- Sealed; null until a second factor is set up.
    totp_secret text,
    totp_confirmed integer not null,
    -- The step of the last one-time password that was used: none is taken twice (RFC 6238 §5.2).
    totp_step integer,
    oidc_issuer text,
    oidc_subject text,
    failures integer not null,
    locked_until integer,
    created_at integer not null,
    updated_at integer not null,
    constraint staff_login unique (login),
    constraint staff_subject unique (oidc_issuer, oidc_subject),
    constraint staff_state check (state in ('active', 'disabled')),
    constraint staff_language check (language in ('ja', 'en')),
    constraint staff_flags check (
        must_change_password in (0, 1) and totp_confirmed in (0, 1)
    ),
    constraint staff_clinic check (clinic_id is null or health_center_id is not null)
) strict;

create index staff_of_center on staff (health_center_id);

create table staff_session (
    -- SHA-256 of the cookie: whoever reads the table cannot sign in with it.
    token text not null primary key,
    staff_id text not null references staff (id),
    -- What every form has to bring back.
    csrf text not null,
    stage text not null,
    created_at integer not null,
    seen_at integer not null,
    address text not null,
    agent text not null,
    ended_at integer,
    constraint staff_session_stage check (stage in ('second_factor', 'full'))
) strict;

create index staff_session_of_staff on staff_session (staff_id) where ended_at is null;

create table audit_event (
    seq integer not null primary key,
    at integer not null,
    actor text not null,
    -- Null for what the program does by itself, and for those who are not signed in.
    staff_id text,
    health_center_id text,
    action text not null,
    patient_id text,
    object text not null,
    detail text not null,
    hash text not null,
    constraint audit_event_seq check (seq >= 1)
) strict;

create index audit_event_of_patient on audit_event (patient_id, seq) where patient_id is not null;
create index audit_event_of_staff on audit_event (staff_id, seq) where staff_id is not null;
create index audit_event_of_center on audit_event (health_center_id, seq);

-- The end of the chain. Its one row is locked while a link is added.
create table audit_head (
    id integer not null primary key,
    seq integer not null,
    hash text not null,
    constraint audit_head_one check (id = 1)
) strict;

insert into audit_head (id, seq, hash) values (1, 0, '');

-- Whether telephones may be called at all: the emergency stop. Its one row is read in the same
-- transaction that claims an attempt.
create table installation (
    id integer not null primary key,
    dialing text not null,
    changed_at integer not null,
    changed_by text not null,
    reason text not null,
    constraint installation_one check (id = 1),
    constraint installation_dialing check (dialing in ('running', 'stopped'))
) strict;

insert into installation (id, dialing, changed_at, changed_by, reason) values (1, 'running', 0, '', '');
