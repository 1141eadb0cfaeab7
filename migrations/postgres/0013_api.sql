-- Why: a program whose connection breaks does not know whether its request took effect, and asks
-- again. The same key of the same program is answered with what was answered the first time, and
-- takes effect once.

create table api_request (
    -- Who asked: a token or a member of the staff.
    principal text not null,
    key text not null,
    -- SHA-256 over method, path and body: the same key with another request is a mistake.
    hash text not null,
    begun_at bigint not null,
    -- Null while it is carried out.
    status bigint,
    -- The headers that belong to the answer, one a line.
    headers text not null,
    body text not null,
    constraint api_request_key primary key (principal, key)
);

create index api_request_by_age on api_request (begun_at);
