-- Why: a campaign may be bound to trunks of one group. Whoever estimates its capacity, or asks why its
-- calls wait, must know which trunks are in which group.

-- The group that the trunk is in; null for none.
alter table trunk_status add column trunk_group text;
