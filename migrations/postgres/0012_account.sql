-- Why: an account needs a way back when the telephone with the one-time passwords is lost, a second
-- factor that is being set up beside the one in use, and programs that act for somebody need
-- tokens that can be taken away one by one.

-- Sealed; the secret that is being set up, until its first code proves it.
alter table staff add column totp_pending text;

create table recovery_code (
    staff_id text not null references staff (id),
    -- SHA-256 of the code: it is random enough to need no slow hash.
    hash text not null,
    used_at bigint,
    constraint recovery_code_once primary key (staff_id, hash)
);

create table api_token (
    id text not null primary key,
    -- Whose rights the token has, as far as its scopes reach.
    staff_id text not null references staff (id),
    -- The centre its owner belonged to when it was made; it ends when the owner moves.
    health_center_id text references health_center (id),
    name text not null,
    -- The words of the scopes, with a space between them.
    scopes text not null,
    -- SHA-256 of the token: whoever reads the table cannot use it.
    hash text not null,
    created_at bigint not null,
    expires_at bigint not null,
    last_used_at bigint,
    revoked_at bigint,
    constraint api_token_hash unique (hash)
);

create index api_token_of_staff on api_token (staff_id);
