-- Why: a case that two nurses work on at once is as bad as one that nobody works on. So a case has
-- at most one holder (the primary key says so), the hold runs out unless its holder does something,
-- and all that happens to a case is a line that stays: who took it, who rang, what was promised.

create table case_claim (
    case_id text not null references escalation_case (id),
    staff_id text not null references staff (id),
    claimed_at integer not null,
    claim_until integer not null,
    constraint case_claim_of_case primary key (case_id),
    constraint case_claim_span check (claimed_at < claim_until)
) strict;

create index case_claim_by_end on case_claim (claim_until);
create index case_claim_of_staff on case_claim (staff_id);

-- Since when it waits for the next shift; null again once somebody takes it.
alter table escalation_case add column handed_over_at integer
    constraint case_handed_over check (handed_over_at is null or state = 'open');
-- What came of it; null for those closed at the command line.
alter table escalation_case add column outcome text
    constraint case_outcome check (state = 'resolved' and outcome in (
        'care_arranged', 'ambulance', 'watch', 'spoke_fine', 'visit_requested', 'family_confirmed',
        'input_error', 'wrong_number', 'false_alarm'
    ) or outcome is null);

create index case_resolved_at on escalation_case (resolved_at) where resolved_at is not null;

create table case_event (
    case_id text not null references escalation_case (id),
    seq integer not null,
    at integer not null,
    -- Null for what the program and the command line do.
    staff_id text references staff (id),
    kind text not null,
    text text not null,
    -- How grave the case is after it, where that may have changed.
    priority text,
    -- When a promise is due.
    due_at integer,
    -- The promise that was kept.
    of_seq integer,
    -- The call or the report that a good report came by: each is told of once.
    source_id text,
    constraint case_event_seq primary key (case_id, seq),
    constraint case_event_promise foreign key (case_id, of_seq) references case_event (case_id, seq),
    constraint case_event_place check (seq >= 1),
    constraint case_event_kind check (kind in (
        'opened', 'raised', 'lowered', 'fact_added', 'reported', 'claimed', 'released',
        'taken_over', 'timed_out', 'called', 'promised', 'kept', 'noted', 'resolved', 'handed_over'
    )),
    constraint case_event_priority check (priority in ('p3', 'p2', 'p1')),
    constraint case_event_due check ((kind = 'promised') = (due_at is not null)),
    constraint case_event_of check ((kind = 'kept') = (of_seq is not null)),
    constraint case_event_source check ((kind = 'reported') = (source_id is not null))
) strict;

create unique index case_event_kept_once on case_event (case_id, of_seq) where of_seq is not null;
create unique index case_event_reported_once on case_event (case_id, source_id)
    where source_id is not null;
create index case_event_by_time on case_event (at);

insert into case_event (case_id, seq, at, kind, text, priority)
    select id, 1, opened_at, 'opened', '', priority from escalation_case;
