-- Why: nobody is called by a clock that cannot be trusted. What each node found is shown to staff;
-- and where the database has no clock of its own, a person who lets dialling begin vouches for the
-- time, whatever was written before.

-- How far the node's clock is ahead of the database's, in milliseconds, where they disagree.
alter table node_status add column clock_ahead_ms bigint;

-- The latest call, by the clock of that time, when dialling was last let begin.
alter table installation add column clock_base bigint;
