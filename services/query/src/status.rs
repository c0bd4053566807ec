//! A case as readers get it: in short, whole, and who holds it by when.

use gridkeeper_proto::{
    api::{
        CaseDetail, CaseSummary, ClockState, EscalationStatus, EventRecord, NextAction, NextStep,
    },
    case::{Case, Moment, NextMoment},
    clock::ClockError,
    code::Code,
    duty::Held,
    envelope::Position,
    event::CaseEvent,
    policy::{Concerned, Timetable},
    sealed::Party,
    time::Timestamp,
    view::CaseView,
};

/// A case in short.
pub(crate) fn summary(case: &Case) -> CaseSummary {
    CaseSummary {
        id: case.id,
        version: case.version,
        grid: case.grid,
        kind: case.kind,
        category: case.category.clone(),
        severity: case.severity,
        state: case.state,
        holder: case.holder.clone(),
        due_at: due_at(case),
        overdue: case.overdue,
        reported_at: case.reported_at,
        closed_at: case.closed_at,
    }
}

/// A case, whole.
pub(crate) fn detail(
    position: Position,
    view: CaseView,
    parties: Option<Result<Vec<Party>, Code>>,
) -> CaseDetail {
    let case = &view.case;
    let (parties, unreadable) = match parties {
        Some(Ok(parties)) => (Some(parties), None),
        Some(Err(code)) => (None, Some(code)),
        None => (None, None),
    };
    CaseDetail {
        position,
        summary: summary(case),
        parties,
        parties_state: case.parties,
        parties_unreadable: unreadable.map(|code| code.to_string()),
        merged_into: case.merged_into,
        satisfied: case.satisfied,
        suspension: case.suspension.clone(),
        waited_ms: view.filed_at.map(|filed| case.reported_at.since(filed)),
        description: view.description,
        place: view.place,
        channel: view.channel,
        people: view.people,
        occurred_at: view.occurred_at,
        filed_at: view.filed_at,
        source: view.source,
    }
}

/// Who holds a case, by when, and where it goes next.
pub(crate) fn escalation(
    position: Position,
    case: &Case,
    (timetable, now): (&Timetable, Timestamp),
    (held, history): (Option<Held>, Vec<EventRecord>),
) -> EscalationStatus {
    let limited = case.concerned().map(|concerned| (timetable, concerned));
    let next = case.next_moment(timetable);
    let used = limited.map(|measure| used_permille(case, measure, now));
    let clock = limited.map(|measure| clock_state(case, measure, now));
    // Who holds the case since when is told all the same.
    let beyond_calendar =
        next.is_err() || matches!(used, Some(Err(_))) || matches!(clock, Some(Err(_)));
    let next = next.ok().flatten();
    let reminds = |next: &NextMoment| matches!(next.moment, Moment::Remind(_));
    EscalationStatus {
        position,
        case_id: case.id,
        state: case.state,
        holder: case.holder.clone(),
        since: case.held_since,
        due_at: due_at(case),
        used_permille: used.and_then(Result::ok),
        clock: clock.and_then(Result::ok),
        beyond_calendar,
        overdue: case.overdue,
        stage: case.stage,
        post: post(case, timetable).map(str::to_owned),
        held_by: held,
        limit: limited.map(|(timetable, concerned)| timetable.rule(concerned)),
        supervised: case.supervised,
        extensions: case.extensions,
        returns: case.returns,
        reminder_at: next.filter(reminds).map(|next| next.at),
        next: next.map(|next| next_step(case, next)),
        history,
    }
}

/// The post of the ladder that holds an open case; none where a unit or a person holds it.
pub(crate) fn post<'a>(case: &Case, timetable: &'a Timetable) -> Option<&'a str> {
    let named = case.holder.unit.is_some() || case.holder.person.is_some();
    let post = timetable.policy().ladder.post(case.holder.level);
    (!named && case.state.is_open()).then_some(post)
}

/// Whether an event belongs to the history of a case's escalation.
pub(crate) fn is_escalation(event: &CaseEvent) -> bool {
    matches!(
        event,
        CaseEvent::Escalated(_)
            | CaseEvent::DeadlineMissed(_)
            | CaseEvent::Supervised(_)
            | CaseEvent::Reminded(_)
            | CaseEvent::Extended(_)
    )
}

/// Whether the history of a case's escalation has anything.
pub(crate) fn has_history(case: &Case) -> bool {
    case.escalations > 0
        || case.deadlines_missed > 0
        || case.supervised
        || case.extensions > 0
        || case.reminders > 0
}

fn due_at(case: &Case) -> Option<Timestamp> {
    case.state.is_open().then_some(case.due_at)
}

fn used_permille(
    case: &Case,
    measure: (&Timetable, Concerned<'_>),
    now: Timestamp,
) -> Result<u64, ClockError> {
    let (used, whole) = case.used(measure, now)?;
    let used = u128::from(used.max(0).unsigned_abs());
    let whole = u128::from(whole.max(1).unsigned_abs());
    Ok(u64::try_from(used * 1_000 / whole).unwrap_or(u64::MAX))
}

fn clock_state(
    case: &Case,
    (timetable, concerned): (&Timetable, Concerned<'_>),
    now: Timestamp,
) -> Result<ClockState, ClockError> {
    if case.suspension.is_some() {
        return Ok(ClockState::Suspended);
    }
    Ok(match timetable.runs(concerned, now)? {
        true => ClockState::Runs,
        false => ClockState::Closed,
    })
}

/// The next step on the ladder; of a case that is overdue at its top the next reminder.
fn next_step(case: &Case, next: NextMoment) -> NextStep {
    let level = case.holder.level;
    let step = |action, at, level| NextStep { action, at, level };
    match (next.moment, level.above()) {
        (Moment::Resume, _) => step(NextAction::Resume, next.at, level),
        (Moment::Remind(_), _) if case.overdue => step(NextAction::Remind, next.at, level),
        (_, Some(above)) => step(NextAction::Escalate, case.due_at, above),
        (_, None) => step(NextAction::MarkOverdue, case.due_at, level),
    }
}

/// The word that the API writes for a value without fields.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a value without fields is a word: {other:?}"),
    }
}
