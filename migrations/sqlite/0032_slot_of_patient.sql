-- Why: tomorrow's slots are written beside a year of past ones. Each index that is ordered by
-- somebody's id costs a page of it for each patient, each night: one does for patient and episode, and
-- a slot's patient is now certain to be the one of its episode.

drop index slot_of_patient;
create unique index episode_of_patient on episode (patient_id, id);

-- The two databases change constraints differently; from here on the texts are twins.
-- PostgreSQL looks at each row by itself.
create table slot_of_another (n integer constraint slot_of_episode check (n = 0)) strict;
insert into slot_of_another select count(*) from slot s join episode e on e.id = s.episode_id
    where e.patient_id <> s.patient_id;
drop table slot_of_another;

-- No row is changed; the index of the constraint is made anew from its new text
-- (https://www.sqlite.org/lang_altertable.html, section 8).
pragma writable_schema = on;
update sqlite_schema set sql = replace(replace(replace(sql,
    'episode_id text not null references episode (id)', 'episode_id text not null'),
    'patient_id text not null references patient (id)', 'patient_id text not null'),
    'constraint slot_of_the_day unique (episode_id, date, number)',
    'constraint slot_of_episode foreign key (patient_id, episode_id)
        references episode (patient_id, id),
    constraint slot_of_the_day unique (patient_id, date, number, episode_id)')
    where type = 'table' and name = 'slot';
pragma writable_schema = reset;
reindex slot;
