-- Why: a hundred thousand slots may be due from the same moment on, and the next ones to plan are taken in
-- the order of their ids: without it PostgreSQL sorted all of them each time.

drop index slot_due;
create index slot_due on slot (due_from, id) where state = 'due';
