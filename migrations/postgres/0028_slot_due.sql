-- Why: at nine o'clock a hundred thousand slots are due at the same moment. The next ones to plan are
-- found without sorting them all: those of each campaign, and those of none.

drop index slot_due_of_campaign;
create index slot_due_of_campaign on slot (campaign_id, due_from, id)
    where state = 'due' and campaign_id is not null;
create index slot_due_of_none on slot (due_from, id)
    where state = 'due' and campaign_id is null;
