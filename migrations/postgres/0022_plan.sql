-- Why: the slots of a day are opened before the list of that day is made, for everybody at once: a
-- slot of a day that the list does not speak of yet concerns no row of it. And who is under
-- observation is asked for again only if something has changed.

create index episode_changed on episode (updated_at) where state = 'active';

-- The two databases write triggers differently; from here on the texts are twins.

-- Whoever moves the list to another day waits until the slots are there.
drop trigger slot_touched_by_insert on slot;
create function note_new_slot() returns trigger language plpgsql as $$
    declare today text;
    begin
        select d.day into today from health_day d where d.id = 1 for share;
        if new.date <= today then
            insert into health_touched (patient_id) values (new.patient_id);
        end if;
        return null;
    end $$;
create trigger slot_touched_by_insert after insert on slot
    for each row execute function note_new_slot();
