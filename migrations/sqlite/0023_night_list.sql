-- Why: an evening call (寝る前) is over after staff have met about those who were silent by day. Whoever
-- misses it stands on a list of its own at night, also if the day's list has spoken of them already: so
-- a patient may be on two lists of one day, and each is decided about for itself.

create table welfare_list_of_kind (
    health_center_id text not null references health_center (id),
    campaign_id text not null,
    date text not null,
    list text not null,
    made_at integer not null,
    constraint welfare_list_once primary key (health_center_id, campaign_id, date, list),
    constraint welfare_list_kind check (list in ('day', 'night'))
) strict;

insert into welfare_list_of_kind (health_center_id, campaign_id, date, list, made_at)
    select health_center_id, campaign_id, date, 'day', made_at from welfare_list;

drop table welfare_list;
alter table welfare_list_of_kind rename to welfare_list;

create table welfare_check_of_kind (
    id text not null primary key,
    patient_id text not null references patient (id),
    date text not null,
    list text not null,
    why text not null,
    -- High risk or living alone, when the list was made.
    is_frail integer not null,
    -- The last answer by any channel before it.
    heard_at integer,
    listed_at integer not null,
    -- When it goes to the supervisor if it is not settled, and when it did.
    escalate_at integer not null,
    escalated_at integer,
    choice text,
    reason text,
    decided_at integer,
    decided_by text references staff (id),
    result text,
    settled_at integer,
    settled_by text references staff (id),
    constraint welfare_check_once unique (patient_id, date, list),
    constraint welfare_check_list check (list in ('day', 'night')),
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
) strict;

insert into welfare_check_of_kind (id, patient_id, date, list, why, is_frail, heard_at, listed_at,
    escalate_at, escalated_at, choice, reason, decided_at, decided_by, result, settled_at, settled_by)
    select id, patient_id, date, 'day', why, is_frail, heard_at, listed_at,
    escalate_at, escalated_at, choice, reason, decided_at, decided_by, result, settled_at, settled_by
    from welfare_check;

drop table welfare_check;
alter table welfare_check_of_kind rename to welfare_check;

create index welfare_check_open on welfare_check (escalate_at) where settled_at is null;
create index welfare_check_by_date on welfare_check (date);
