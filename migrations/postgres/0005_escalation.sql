-- Why: one open case per patient, to which new facts are added, so that nurses see people and not
-- alarms. The message that tells of a case is written in the same transaction as the case, and is
-- sent until the receiver has taken it: an alarm cannot be lost between two systems.

create table escalation_case (
    id text not null primary key,
    patient_id text not null references patient (id),
    priority text not null,
    state text not null,
    opened_at bigint not null,
    acknowledged_at bigint,
    acknowledged_by text,
    resolved_at bigint,
    resolved_by text,
    resolution text,
    constraint case_priority check (priority in ('p3', 'p2', 'p1')),
    constraint case_state check (state in ('open', 'acknowledged', 'resolved')),
    -- Nothing resolves by itself: a person and a reason are on record.
    constraint case_resolved check (
        (state = 'resolved') = (resolved_at is not null and resolved_by is not null
            and resolution is not null)
    ),
    constraint case_acknowledged check (
        state <> 'acknowledged' or (acknowledged_at is not null and acknowledged_by is not null)
    )
);

create unique index case_open_of_patient on escalation_case (patient_id)
    where state in ('open', 'acknowledged');

create table case_fact (
    case_id text not null references escalation_case (id),
    position bigint not null,
    rule text not null,
    rule_set text not null,
    priority text not null,
    text text not null,
    at bigint not null,
    added_at bigint not null,
    source text not null,
    source_id text not null,
    -- The entry of the transcript if the source is an answer, else 0.
    source_seq bigint not null,
    constraint case_fact_position primary key (case_id, position),
    -- Also across cases: what was once resolved does not come back by evaluating again.
    constraint case_fact_of_source unique (rule, source, source_id, source_seq),
    constraint case_fact_priority check (priority in ('p0', 'p3', 'p2', 'p1')),
    constraint case_fact_source check (source in ('answer', 'attempt', 'slot', 'observation'))
);

create table message (
    id text not null primary key,
    case_id text not null references escalation_case (id),
    kind text not null,
    priority text not null,
    -- The facts that it tells of: those at a lower position. The same again at every try.
    facts bigint not null,
    created_at bigint not null,
    due_at bigint not null,
    tries bigint not null,
    last_error text,
    delivered_at bigint,
    constraint message_kind check (kind in ('case_opened', 'case_raised')),
    constraint message_priority check (priority in ('p3', 'p2', 'p1'))
);

create index message_due on message (due_at) where delivered_at is null;
