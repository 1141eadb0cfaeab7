-- Why: a search reads a few words of everybody under observation. The rows of the list are wide and
-- change all day; their words are few and hardly ever change, so they have a table of their own, and
-- the index in which the list is ordered need not carry them.

create table health_search (
    -- Not a reference: the row goes when that of the list does, or the observation ends.
    patient_id text not null primary key,
    health_center_id text not null,
    words text not null
) strict;

insert into health_search (patient_id, health_center_id, words)
    select h.patient_id, h.health_center_id, h.search from health_status h where h.is_observed = 1;

drop index health_status_by_need;
create index health_status_by_need on health_status (
    health_center_id, need, kana, registration_number, report, fever_days, last_day, clinic_id,
    patient_id
) where is_observed = 1;

-- The two databases write triggers differently; from here on the texts are twins.

create trigger health_search_by_insert after insert on health_status when new.is_observed = 1
    begin
        insert into health_search (patient_id, health_center_id, words)
            values (new.patient_id, new.health_center_id, new.search);
    end;
create trigger health_search_by_update after update on health_status
    when (new.search, new.health_center_id, new.is_observed)
        <> (old.search, old.health_center_id, old.is_observed)
    begin
        delete from health_search where patient_id = new.patient_id;
        insert into health_search (patient_id, health_center_id, words)
            select new.patient_id, new.health_center_id, new.search where new.is_observed = 1;
    end;
create trigger health_search_by_delete after delete on health_status
    begin delete from health_search where patient_id = old.patient_id; end;
