-- Why: whoever may be released is proposed by dated rules from day 0 of the illness; a named member
-- of the staff decides. Neither what was known of the illness nor what was decided is overwritten.

-- What staff or a list said about the beginning of an illness; the newest of an episode is current.
create table episode_course (
    id text not null primary key,
    episode_id text not null references episode (id),
    onset_day text,
    specimen_day text,
    has_symptoms text not null,
    -- From which day the days of the illness are counted, if that is known.
    day_zero text,
    is_current bigint not null,
    written_at bigint not null,
    -- Null if a list said so.
    staff_id text references staff (id),
    constraint episode_course_symptoms check (has_symptoms in ('yes', 'no', 'unknown')),
    constraint episode_course_current check (is_current in (0, 1))
);

create unique index episode_course_in_force on episode_course (episode_id) where is_current = 1;
create index episode_course_day_zero on episode_course (day_zero) where is_current = 1;

create table release_decision (
    id text not null primary key,
    patient_id text not null references patient (id),
    episode_id text not null references episode (id),
    decision text not null,
    -- The version and the path of the rules that proposed it, and what was in the way.
    rules text not null,
    path text not null,
    blocks bigint not null,
    reason text not null,
    decided_at bigint not null,
    staff_id text not null references staff (id),
    constraint release_decision_word check (decision in ('released', 'kept')),
    constraint release_decision_reasoned check (
        reason <> '' or (decision = 'released' and blocks = 0)
    )
);

create index release_decision_of_episode on release_decision (episode_id, decided_at);
create unique index release_decision_once on release_decision (episode_id)
    where decision = 'released';
