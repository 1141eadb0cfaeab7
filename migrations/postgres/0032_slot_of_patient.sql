-- Why: tomorrow's slots are written beside a year of past ones. Each index that is ordered by
-- somebody's id costs a page of it for each patient, each night: one does for patient and episode, and
-- a slot's patient is now certain to be the one of its episode.

drop index slot_of_patient;
create unique index episode_of_patient on episode (patient_id, id);

-- The two databases change constraints differently; from here on the texts are twins.
alter table slot
    drop constraint slot_episode_id_fkey,
    drop constraint slot_patient_id_fkey,
    drop constraint slot_of_the_day,
    add constraint slot_of_episode foreign key (patient_id, episode_id)
        references episode (patient_id, id),
    add constraint slot_of_the_day unique (patient_id, date, number, episode_id);

-- Once for all slots of a statement, and not for each.
drop trigger slot_touched_by_insert on slot;
drop function note_new_slot;
create function note_new_slots() returns trigger language plpgsql as $$
    declare today text;
    begin
        select d.day into today from health_day d where d.id = 1 for share;
        insert into health_touched (patient_id)
            select n.patient_id from new_slots n where n.date <= today;
        return null;
    end $$;
create trigger slot_touched_by_insert after insert on slot
    referencing new table as new_slots for each statement execute function note_new_slots();
