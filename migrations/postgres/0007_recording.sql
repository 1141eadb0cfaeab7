-- Why: a recording tells more of a person than any answer does. So a row says, before the first
-- sound is kept, that there is one, whose it is, and by which rule; what is not kept is deleted,
-- and the row stays as the proof. The sound itself is outside, sealed under a key of the centre,
-- which is here, sealed under a key that is not.

create table center_key (
    id text not null primary key,
    health_center_id text not null references health_center (id),
    -- The key, sealed under the master key of the configuration; base64.
    sealed text not null,
    created_at bigint not null,
    -- Retired keys seal nothing new, but what they sealed stays readable.
    retired_at bigint
);

create unique index center_key_in_use on center_key (health_center_id) where retired_at is null;

create table recording_policy (
    health_center_id text not null primary key references health_center (id),
    keep text not null,
    sample_percent bigint not null,
    keep_days bigint not null,
    changed_at bigint not null,
    changed_by text not null,
    constraint recording_policy_keep check (keep in ('none', 'escalated', 'sampled', 'all')),
    constraint recording_policy_sample check (sample_percent between 0 and 100),
    constraint recording_policy_days check (keep_days between 1 and 3650)
);

create table recording_consent (
    patient_id text not null primary key references patient (id),
    consent text not null,
    changed_at bigint not null,
    changed_by text not null,
    constraint recording_consent_word check (consent in ('unknown', 'given', 'refused'))
);

create table recording (
    id text not null primary key,
    attempt_id text not null references attempt (id),
    patient_id text not null references patient (id),
    health_center_id text not null references health_center (id),
    key_id text not null references center_key (id),
    -- Whose spool holds it until it is stored.
    node text not null,
    state text not null,
    scope text not null,
    keep text not null,
    sample_percent bigint not null,
    keep_days bigint not null,
    started_at bigint not null,
    ended_at bigint,
    -- Samples at 8 kHz; those that were not kept in time are silence.
    samples bigint,
    missing_samples bigint,
    -- Why it is kept; null until that is known.
    kept_because text,
    keep_until bigint,
    sealed_bytes bigint,
    sha256 text,
    stored_at bigint,
    held_at bigint,
    held_by text,
    hold_reason text,
    -- What the patient said after the tone, as milliseconds from the beginning.
    message_from bigint,
    message_to bigint,
    heard_at bigint,
    heard_by text,
    deleted_at bigint,
    deleted_because text,
    constraint recording_of_attempt unique (attempt_id),
    constraint recording_state check (state in ('running', 'spooled', 'stored', 'deleted')),
    constraint recording_scope check (scope in ('whole', 'message')),
    constraint recording_keep check (keep in ('none', 'escalated', 'sampled', 'all')),
    constraint recording_kept check (kept_because in ('all', 'sample', 'case', 'message')),
    constraint recording_kept_until check ((kept_because is null) = (keep_until is null)),
    constraint recording_stored check (
        state <> 'stored' or (stored_at is not null and sha256 is not null
            and sealed_bytes is not null and samples is not null)
    ),
    constraint recording_held check (
        (held_at is null) = (held_by is null) and (held_at is null) = (hold_reason is null)
    ),
    constraint recording_message check ((message_from is null) = (message_to is null)),
    constraint recording_deleted check (
        (state = 'deleted') = (deleted_at is not null)
        and (deleted_at is null) = (deleted_because is null)
    ),
    constraint recording_deleted_because check (
        deleted_because in ('not_kept', 'expired', 'refused', 'empty', 'lost')
    )
);

create index recording_of_patient on recording (patient_id, started_at);
create index recording_in_spool on recording (node, state) where state in ('running', 'spooled');
create index recording_to_expire on recording (keep_until) where state in ('spooled', 'stored');
create index recording_unheard on recording (health_center_id, started_at)
    where message_from is not null and heard_at is null;

create table recording_mark (
    recording_id text not null references recording (id),
    position bigint not null,
    at bigint not null,
    kind text not null,
    detail text not null,
    constraint recording_mark_position primary key (recording_id, position),
    constraint recording_mark_kind check (kind in (
        'say', 'key', 'identified', 'answer', 'rule', 'message', 'end'
    ))
);

create table recording_note (
    id text not null primary key,
    recording_id text not null references recording (id),
    at bigint not null,
    written_by text not null,
    text text not null,
    written_at bigint not null
);

create index recording_note_of_recording on recording_note (recording_id, at);
