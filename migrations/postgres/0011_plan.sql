-- Why: what staff bring in changes whom we call, what we say and when we raise the alarm, so each
-- list, recording and set of rules is kept with who brought it, what it changed, and who approved
-- it. A list can be taken back; a recording and a set of rules are replaced by later ones only.

create table import_batch (
    id text not null primary key,
    health_center_id text not null references health_center (id),
    -- The name of the file; empty if the list was pasted.
    source text not null,
    encoding text not null,
    sha256 text not null,
    -- The list itself, until it is taken over or thrown away: then nobody needs it any more.
    content bytea,
    -- The first day of observation for rows that name none.
    read_on text not null,
    n_rows bigint not null,
    n_refused bigint not null,
    -- What is to be mended and looked at, as JSON.
    problems text not null,
    -- The lines that staff chose to leave out, with a space between them.
    left_out text not null,
    state text not null,
    created_by text not null references staff (id),
    created_at bigint not null,
    -- When somebody last worked on it: what a crash left half done can be gone on with.
    touched_at bigint not null,
    imported_at bigint,
    undone_by text references staff (id),
    undone_at bigint,
    constraint import_batch_state check (state in (
        'previewed', 'importing', 'imported', 'undoing', 'undone', 'discarded'
    )),
    constraint import_batch_content check (
        state not in ('previewed', 'importing') or content is not null
    )
);

create index import_batch_of_center on import_batch (health_center_id, created_at);

create table import_row (
    batch_id text not null references import_batch (id),
    line bigint not null,
    registration_number text not null,
    -- Not a reference: a patient whom the list brought in goes when it is taken back.
    patient_id text not null,
    change text not null,
    -- The patient and the active episode before and after, as JSON; null where there was none.
    was text,
    became text,
    at bigint not null,
    undone text,
    constraint import_row_line primary key (batch_id, line),
    constraint import_row_change check (change in ('created', 'updated', 'unchanged', 'refused')),
    constraint import_row_undone check (undone in ('deleted', 'ended', 'restored', 'left'))
);

create index import_row_to_undo on import_row (batch_id, line) where undone is null;

-- To find a household, and somebody who is on the list under another number.
create index patient_phone_by_number on patient_phone (number);
create index patient_by_birth on patient (health_center_id, birth_date);
-- The plan of a day is read page by page.
create index patient_by_kana on patient (health_center_id, kana, id);

create table prompt_take (
    id text not null primary key,
    language text not null,
    prompt text not null,
    source text not null,
    sha256 text not null,
    -- What was brought, and what is said: µ-law at 8 kHz, without the pause that follows it.
    original bytea not null,
    sound bytea not null,
    duration_ms bigint not null,
    -- Tenths of a dBov, before it was set to the level of all prompts.
    level bigint not null,
    state text not null,
    created_by text not null references staff (id),
    created_at bigint not null,
    approved_by text references staff (id),
    approved_at bigint,
    retired_by text references staff (id),
    retired_at bigint,
    constraint prompt_take_state check (state in ('draft', 'approved', 'retired')),
    constraint prompt_take_source check (source in ('upload', 'microphone')),
    -- Two pairs of ears: nobody approves what they brought themselves.
    constraint prompt_take_approved check (
        (state <> 'approved' or approved_by is not null) and approved_by <> created_by
    )
);

create unique index prompt_take_in_use on prompt_take (language, prompt)
    where state = 'approved';

create table rule_set (
    id text not null primary key,
    health_center_id text not null references health_center (id),
    version text not null,
    body text not null,
    effective_from text not null,
    state text not null,
    -- The doctor who answers for it; empty until somebody does.
    signed_by text not null,
    signed_on text,
    created_by text not null references staff (id),
    created_at bigint not null,
    decided_by text references staff (id),
    decided_at bigint,
    constraint rule_set_state check (state in ('draft', 'released', 'withdrawn')),
    constraint rule_set_signed check (
        state <> 'released' or (signed_by <> '' and signed_on is not null)
    )
);

create unique index rule_set_version on rule_set (health_center_id, version);
create unique index rule_set_in_force on rule_set (health_center_id, effective_from)
    where state = 'released';

-- What was sent and received for a call, without anything that names a person: for engineers, and
-- for some days only.
create table call_ladder (
    attempt_id text not null primary key references attempt (id),
    steps text not null,
    written_at bigint not null
);

create index call_ladder_by_age on call_ladder (written_at);

-- What staff have set holds against the configuration, which is read at every start.
alter table health_center add column set_at bigint;
