-- Why: the slots of a day are opened before the list of that day is made, for everybody at once: a
-- slot of a day that the list does not speak of yet concerns no row of it. And who is under
-- observation is asked for again only if something has changed.

create index episode_changed on episode (updated_at) where state = 'active';

-- The two databases write triggers differently; from here on the texts are twins.

drop trigger slot_touched_by_insert;
create trigger slot_touched_by_insert after insert on slot
    when new.date <= (select d.day from health_day d where d.id = 1)
    begin insert into health_touched (patient_id) values (new.patient_id); end;
