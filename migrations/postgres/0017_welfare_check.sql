-- Why: whoever was silent all day must be looked for on the same day (安否確認). A list is made once
-- a day; everybody on it stays red until a named member of the staff has written what was decided
-- and what came of it. Nothing here closes by itself.

-- That the list of a day was made; an empty campaign is for patients of centres without one.
create table welfare_list (
    health_center_id text not null references health_center (id),
    campaign_id text not null,
    date text not null,
    made_at bigint not null,
    constraint welfare_list_of_the_day primary key (health_center_id, campaign_id, date)
);

create table welfare_check (
    id text not null primary key,
    patient_id text not null references patient (id),
    date text not null,
    why text not null,
    -- High risk or living alone, when the list was made.
    is_frail bigint not null,
    -- The last answer by any channel before it.
    heard_at bigint,
    listed_at bigint not null,
    -- When it goes to the supervisor if it is not settled, and when it did.
    escalate_at bigint not null,
    escalated_at bigint,
    choice text,
    reason text,
    decided_at bigint,
    decided_by text references staff (id),
    result text,
    settled_at bigint,
    settled_by text references staff (id),
    constraint welfare_check_of_the_day unique (patient_id, date),
    constraint welfare_check_why check (
        why in ('unreached', 'no_answers', 'not_called', 'waiting')
    ),
    constraint welfare_check_frail check (is_frail in (0, 1)),
    constraint welfare_check_choice check (
        choice in ('visit', 'police', 'fire', 'family', 'wait', 'reached')
    ),
    constraint welfare_check_decided check (
        (choice is null) = (decided_at is null) and (choice is null) = (decided_by is null)
        and (choice is null) = (reason is null)
    ),
    constraint welfare_check_settled check (
        (result is null) = (settled_at is null) and (result is null) = (settled_by is null)
        and (result is null or choice is not null)
    )
);

create index welfare_check_open on welfare_check (escalate_at) where settled_at is null;
create index welfare_check_by_date on welfare_check (date);

-- The two databases widen checks differently; from here on the texts are twins.
-- A case may also come from such a check, and from a silence that is too long (its entry is the
-- second from which on it lasts).
alter table case_fact drop constraint case_fact_source;
alter table case_fact add constraint case_fact_source check (
    source in ('answer', 'attempt', 'slot', 'observation', 'welfare', 'silence')
);
