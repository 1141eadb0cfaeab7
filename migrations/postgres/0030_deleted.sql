-- Why: a list that is taken back deletes the patients whom it brought in. Whatever points at them, or at
-- their attempts, is looked for each time: in a table of ten million rows that took minutes a patient.

create index attempt_continuing on attempt (continues) where continues is not null;
create index answer_of_patient on answer (patient_id);
create index release_decision_of_patient on release_decision (patient_id);
