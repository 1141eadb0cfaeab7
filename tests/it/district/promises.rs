//! What must hold in a district, whatever befell it: each promise against what the called side saw.

use super::*;

pub(super) fn check(town: &Town, history: &History) {
    assert!(town.directory.most_live_at_one() <= 1, "two calls to one telephone at once");
    assert!(town.directory.most_live() <= town.lines, "more calls at once than lines");
    for past in &history.patients {
        no_call_comes_at_a_wrong_time(past);
        no_slot_is_left_open_or_called_too_often(town, past);
        what_is_stored_is_what_was_meant(town, past);
        only_whole_reports_count(town, past);
        danger_is_told_at_once(town, past);
        the_closing_tells_what_comes(past);
        what_follows_comes_once(past);
        who_is_not_reached_is_not_forgotten(past);
        there_is_one_open_case_at_a_time(past);
        who_is_silent_is_on_the_list_once(town, history, past);
        what_nobody_settles_goes_to_the_supervisor(past);
    }
    for (slot, state) in town.told.lock().unwrap().iter() {
        let past =
            history.patients.iter().find(|past| past.slots.iter().any(|one| one.id == *slot));
        let past = past.unwrap();
        let found = past.slots.iter().find(|one| one.id == *slot).unwrap();
        assert_eq!(found.state, *state, "{:?} reported by web", past.temper());
        assert_eq!(past.attempts_at(found).count(), 0, "who has reported is not called");
    }
}

fn no_call_comes_at_a_wrong_time(past: &Past) {
    let mut free_from = Timestamp::UNIX_EPOCH;
    for told in &past.attempts {
        let slot = past.slot_of(&told.attempt);
        let Some(call) = &told.call else { continue };
        let began = call.began_at;
        let hour = civil(began).time();
        assert!((time(9, 0, 0, 0)..time(20, 0, 0, 0)).contains(&hour), "called at {hour}");
        assert!(slot.due_from <= began && began < slot.due_to, "called at {hour} for {slot:?}");
        assert!(
            free_from <= began,
            "{:?}: called at {began} for {slot:?}, though the line was to be left alone until \
             {free_from}: {:?}",
            past.temper(),
            told.attempt
        );
        free_from = call.ended_at + SPACING;
    }
}

fn no_slot_is_left_open_or_called_too_often(town: &Town, past: &Past) {
    let planned = past.slots.iter().filter(|slot| slot.kind == SlotKind::Planned);
    assert_eq!(planned.count(), usize::try_from(town.days).unwrap() * CALL_TIMES.len());
    for slot in &past.slots {
        assert!(slot.state.is_final(), "{:?}: {slot:?}", past.temper());
        let counted = past
            .attempts_at(slot)
            .filter(|told| told.attempt.disposition.unwrap().reached_the_patients_telephone());
        assert!(counted.count() <= Policy::shipped().attempts as usize, "{slot:?}");
        let finished = past
            .attempts_at(slot)
            .position(|told| told.attempt.completion == Some(Completion::Complete));
        if let Some(index) = finished {
            assert_eq!(index + 1, past.attempts_at(slot).count(), "a finished call was repeated");
        }
    }
}

fn what_is_stored_is_what_was_meant(town: &Town, past: &Past) {
    let heard = town.heard.lock().unwrap();
    for told in &past.attempts {
        let slot = past.slot_of(&told.attempt);
        let name = format!("{:?} on {} #{}", past.temper(), slot.date, slot.number);
        for entry in told.entries.iter().filter(|entry| entry.answer != Answer::Unanswered) {
            let meant = past.household.persona.meant(past.day_of(slot), &entry.question);
            assert_eq!(entry.answer, meant, "{name}: {}", entry.question);
        }
        let Some(call) = &told.call else {
            assert_eq!(told.entries, [], "{name}: answers without a call");
            continue;
        };
        let died = told.attempt.disposition == Some(Disposition::Interrupted);
        let n_heard = heard.get(&told.attempt.id).copied().unwrap_or_default();
        if !died {
            assert_eq!(n_heard, call.seen.keys.len(), "{name}: keys pressed and heard");
        }
        // What was typed is a part of what was pressed, in the same order.
        let mut pressed = call.seen.keys.iter().map(ToString::to_string);
        for key in
            told.entries.iter().flat_map(|entry| entry.keys.chars()).filter(|key| *key != ' ')
        {
            assert!(pressed.any(|one| one == key.to_string()), "{name}: {key} was not pressed");
        }
        // Whoever hears the next question has had the answer before stored.
        let stored: BTreeSet<&str> =
            told.entries.iter().map(|entry| entry.question.as_str()).collect();
        let questions = questions_heard(call);
        let before_last = questions.split_last().map_or(&[] as &[String], |(_, before)| before);
        for question in before_last {
            assert!(stored.contains(question.as_str()), "{name}: the answer to {question} is lost");
        }
    }
}

/// The questions of a call in the order in which they were first put.
fn questions_heard(call: &Call) -> Vec<String> {
    let mut heard: Vec<String> = Vec::new();
    for label in &call.seen.heard {
        let puts = |question: &&Question| {
            [&question.ask, &question.again, &question.short].into_iter().flatten().any(|prompt| {
                prompt == label && !prompt.starts_with("keys_") && !prompt.starts_with("once_")
            })
        };
        if let Some(question) = QUESTIONNAIRE.questions.iter().find(puts)
            && !heard.contains(&question.code)
        {
            heard.push(question.code.clone());
        }
    }
    heard
}

fn only_whole_reports_count(town: &Town, past: &Past) {
    let told_otherwise: Vec<SlotId> =
        town.told.lock().unwrap().iter().map(|(slot, _)| *slot).collect();
    for slot in past.slots.iter().filter(|slot| !told_otherwise.contains(&slot.id)) {
        let is_complete = past
            .attempts_at(slot)
            .any(|told| told.attempt.completion == Some(Completion::Complete));
        assert_eq!(slot.state == SlotState::Reported, is_complete, "{:?}", past.temper());
        let nobody = [Temper::Machine, Temper::Silent, Temper::Talks, Temper::Stranger];
        if nobody.contains(&past.temper()) {
            assert!(!is_complete, "{:?} has reported", past.temper());
        }
        if !is_complete {
            continue;
        }
        let script = match (slot.kind, slot.number) {
            (SlotKind::Remeasure, _) => Script::Remeasure,
            (SlotKind::Planned, 1) => Script::Full,
            _ => Script::Short,
        };
        let conditions = |question: &Question| match (&question.ask_when_short, script) {
            (Some(conditions), Script::Short) => !conditions.is_empty(),
            _ => !question.ask_when.is_empty(),
        };
        let required = QUESTIONNAIRE.questions.iter().filter(|question| {
            let has_it = match question.needs {
                Some(Need::Thermometer) => past.household.patient.has_thermometer,
                Some(Need::Oximeter) => past.household.patient.has_oximeter,
                None => true,
            };
            question.required
                && question.scripts.contains(&script)
                && has_it
                && !conditions(question)
        });
        for question in required {
            let is_answered = past
                .attempts_at(slot)
                .flat_map(|told| &told.entries)
                .any(|entry| entry.question == question.code && entry.answer != Answer::Unanswered);
            assert!(is_answered, "{:?} has not answered {}", past.temper(), question.code);
        }
    }
}

fn is_in_danger(temper: Temper) -> bool {
    matches!(temper, Temper::Urgent | Temper::AsksForHelp)
}

fn danger_is_told_at_once(town: &Town, past: &Past) {
    let yes = Answer::Choice(YesNo::Yes);
    let (mut fevers, mut onsets) = (0, 0);
    for (index, told) in past.attempts.iter().enumerate() {
        let slot = past.slot_of(&told.attempt);
        for entry in &told.entries {
            let urgent = ["dyspnea", "urgent_breathing", "consultation"];
            let is_urgent = urgent.contains(&entry.question.as_str()) && entry.answer == yes
                || entry.question == "spo2" && matches!(entry.answer, Answer::Number(..=93));
            if !is_urgent {
                continue;
            }
            let source = FactSource::Answer(told.attempt.id, entry.seq);
            let case = past.case_about(source, Priority::P2);
            let case = case
                .unwrap_or_else(|| panic!("{:?}: no case for {}", past.temper(), entry.question));
            let known_by = town.known_by(entry.at);
            assert!(
                case.opened_at <= known_by,
                "{:?}: {} after {}",
                past.temper(),
                case.opened_at,
                entry.at
            );
            if is_in_danger(past.temper()) {
                assert!(
                    case.priority == Priority::P1
                        && case
                            .facts
                            .iter()
                            .any(|fact| fact.source == source && fact.priority == Priority::P1)
                );
            }
            if told.attempt.disposition == Some(Disposition::Interrupted) {
                continue;
            }
            let call = told.call.as_ref().unwrap();
            if is_in_danger(past.temper()) {
                let in_time = call.ended_at.max(known_by);
                assert!(case.opened_at <= in_time, "told only after the call");
                assert!(call.seen.heard.iter().any(|label| label.starts_with("emergency")));
            }
            if let Some(next) = past.attempts.get(index + 1) {
                // The line is kept free for an emergency; what is less grave keeps to the plan.
                let is_emergency =
                    |fact: &Fact| fact.source == source && fact.priority == Priority::P1;
                let mut quiet_until = entry.at;
                if case.facts.iter().any(is_emergency) {
                    quiet_until += Policy::shipped().after_emergency;
                }
                assert_ne!(
                    next.attempt.slot,
                    slot.id,
                    "{:?}: called after the alarm",
                    past.temper()
                );
                let dialed_at = next.attempt.dialed_at.unwrap();
                assert!(
                    dialed_at >= quiet_until,
                    "{:?}: called at {dialed_at} after the alarm of {}: {entry:?} {:?} {:?}",
                    past.temper(),
                    entry.at,
                    told.attempt,
                    past.slot_of(&next.attempt),
                );
            }
        }
        if past.temper() == Temper::FeverOnThirdDay && past.day_of(slot) == 2 {
            let fever = told.entries.iter().find(|entry| {
                entry.question == "temperature" && matches!(entry.answer, Answer::Number(_))
            });
            fevers += usize::from(fever.is_some());
            onsets += usize::from(fever.is_some_and(|entry| {
                past.case_about(FactSource::Answer(told.attempt.id, entry.seq), Priority::P3)
                    .is_some()
            }));
        }
    }
    let days = past.slots.iter().map(|slot| past.day_of(slot)).max().unwrap_or_default();
    if past.temper() == Temper::FeverOnThirdDay && days >= 2 {
        // A process that dies may cut both calls of a day before the fever is told.
        let is_cut = |told: &Told| told.attempt.disposition == Some(Disposition::Interrupted);
        assert!(fevers > 0 || past.attempts.iter().any(is_cut), "the fever was not told");
        assert!(onsets > 0 || fevers == 0, "the fever of the third day was not noticed");
    }
}

/// The next call, or what comes in its place.
fn the_closing_tells_what_comes(past: &Past) {
    for told in &past.attempts {
        let slot = past.slot_of(&told.attempt);
        let Some(call) = &told.call else { continue };
        let heard = |prompt: &str| call.seen.heard.iter().find(|label| label.starts_with(prompt));
        let planned = past.slots.iter().filter(|other| other.kind == SlotKind::Planned);
        let next = planned.clone().find(|other| other.due_from > slot.due_from);
        let next = next.map(|next| format!("closing_next:{}", civil(next.due_from)));
        if let Some(told) = heard("closing_next") {
            assert_eq!(Some(told), next.as_ref(), "{:?}", past.temper());
        }
        let is_last = heard("closing_last").is_some() || heard("closing_staff").is_some();
        assert!(!is_last || next.is_none(), "{:?}: not the last: {next:?}", past.temper());
        if heard("thanks").is_some() && heard("goodbye").is_some() {
            let next = heard("closing_next").or(heard("closing_remeasure"));
            let follows = next.or(heard("closing_desk")).is_some() || is_last;
            assert!(follows, "{:?}: nothing follows", past.temper());
        }
    }
}

/// A low value is measured again, once, at the time that was told; and nothing follows from that.
fn what_follows_comes_once(past: &Past) {
    let is_low =
        |entry: &Entry| entry.question == "spo2" && matches!(entry.answer, Answer::Number(94..=95));
    let follow_ups = past.slots.iter().filter(|slot| slot.kind == SlotKind::Remeasure);
    for slot in follow_ups.clone() {
        let cause = past.slots.iter().find(|one| {
            one.date == slot.date && one.number + 90 == slot.number && one.due_from < slot.due_from
        });
        let cause = cause.unwrap_or_else(|| panic!("{:?} follows from nothing", slot.number));
        let mut entries = past.attempts_at(cause).flat_map(|told| &told.entries);
        assert!(entries.any(is_low), "{:?}: nothing was low", past.temper());
        for told in past.attempts_at(slot) {
            assert!(told.entries.iter().all(|entry| entry.question == "spo2"));
        }
    }
    for told in &past.attempts {
        let Some(call) = &told.call else { continue };
        let slot = past.slot_of(&told.attempt);
        let said =
            call.seen.heard.iter().find_map(|label| label.strip_prefix("closing_remeasure:"));
        let Some(said) = said.filter(|_| told.attempt.disposition == Some(Disposition::Answered))
        else {
            continue;
        };
        assert_eq!(slot.kind, SlotKind::Planned, "measured again and again");
        // A clock that was set forward may have left that time behind.
        let ended_at = civil(told.attempt.ended_at.unwrap()).to_string();
        let mut kept = follow_ups.clone().map(|one| civil(one.due_from).to_string());
        let is_kept = |at: String| at == said || at.as_str() > said && ended_at.as_str() > said;
        assert!(kept.any(is_kept), "{:?}: {said} was not kept", past.temper());
    }
    let recalls = past.slots.iter().filter(|slot| slot.kind == SlotKind::Recall);
    for slot in recalls {
        let day = past.attempts.iter().filter(|told| past.slot_of(&told.attempt).date == slot.date);
        let last = day.filter_map(|told| told.attempt.ended_at).filter(|at| *at <= slot.due_from);
        let quiet = last.max().unwrap() + Policy::shipped().after_emergency;
        assert!(quiet <= slot.due_from + Duration::from_secs(1), "the line was to be free");
    }
}

fn who_is_not_reached_is_not_forgotten(past: &Past) {
    for slot in &past.slots {
        if matches!(slot.state, SlotState::Unreached | SlotState::Expired) {
            let case = past.case_about(FactSource::Slot(slot.id), Priority::P3);
            assert!(case.is_some(), "{:?}: no case for {slot:?}", past.temper());
        }
    }
    for told in &past.attempts {
        let Attempt { disposition, answered_at, .. } = told.attempt;
        if disposition == Some(Disposition::Interrupted) && answered_at.is_some() {
            let case = past.case_about(FactSource::Attempt(told.attempt.id), Priority::P3);
            assert!(case.is_some(), "{:?}: staff do not hear that we broke off", past.temper());
        }
    }
}

fn there_is_one_open_case_at_a_time(past: &Past) {
    let mut spans: Vec<(Timestamp, Timestamp)> = past
        .cases
        .iter()
        .zip(&past.resolved)
        .map(|(case, resolved)| (case.opened_at, resolved.unwrap_or(Timestamp::MAX)))
        .collect();
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two open cases of one patient");
    }
}

/// All of whom nothing was heard by 16:00, and nobody else.
fn who_is_silent_is_on_the_list_once(town: &Town, history: &History, past: &Past) {
    for day in 0..town.days {
        let midnight = town.at(day, Time::midnight());
        let date = civil(midnight).date();
        let listed_at = history.listed_at.get(&date);
        let listed_at = *listed_at.unwrap_or_else(|| panic!("no list was made on {date}"));
        assert!(listed_at >= town.at(day, time(16, 0, 0, 0)), "too early: {listed_at}");
        let is_heard = past.heard.iter().any(|at| (midnight..=listed_at).contains(at));
        let n_checks = past.checks.iter().filter(|check| check.date == date).count();
        assert_eq!(n_checks, usize::from(!is_heard), "{:?} on {date}", past.temper());
    }
}

/// At 20:00, and whatever was settled before does not.
fn what_nobody_settles_goes_to_the_supervisor(past: &Past) {
    for check in &past.checks {
        let at = timestamp(check.date.to_datetime(time(20, 0, 0, 0)));
        let case = past.case_about(FactSource::Welfare(check.id.unwrap()), Priority::P1);
        let was_settled = check.result.as_ref().is_some_and(|(_, signed)| signed.at < at);
        assert_eq!(check.escalated_at.is_some(), !was_settled, "{check:?}");
        assert_eq!(case.is_some(), !was_settled, "{check:?}");
        if let Some(told_at) = check.escalated_at {
            assert!((at..at + Duration::from_mins(1)).contains(&told_at), "told at {told_at}");
        }
    }
}
