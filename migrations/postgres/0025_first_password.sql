-- Why: a first password is known to whoever made it and to whoever found it on a desk. It runs out.

-- From when on the password opens nothing any more; null for one that its owner has chosen.
alter table staff add column password_ends_at bigint;
