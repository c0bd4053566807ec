//! A case as readers get it: in short, whole, and who holds it by when.

use gridkeeper_proto::{
    api::{
        CaseDetail, CaseSummary, ClockState, EscalationStatus, EventRecord, NextAction, NextStep,
    },
    case::Case,
    clock::ClockError,
    envelope::Position,
    event::Event,
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
    parties: Option<Vec<Party>>,
) -> CaseDetail {
    let case = &view.case;
    CaseDetail {
        position,
        summary: summary(case),
        parties,
        parties_state: case.parties,
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
///
/// # Errors
/// [`ClockError`] when the calendar does not know the moments of a case that runs by service time.
pub(crate) fn escalation(
    position: Position,
    case: &Case,
    (timetable, now): (Option<&Timetable>, Timestamp),
    history: Vec<EventRecord>,
) -> Result<EscalationStatus, ClockError> {
    let due_at = due_at(case);
    let concerned = case.stage().map(|stage| Concerned {
        category: &case.category,
        severity: case.severity,
        stage,
        level: case.holder.level,
    });
    let limited = due_at.zip(concerned);
    Ok(EscalationStatus {
        position,
        case_id: case.id,
        state: case.state,
        holder: case.holder.clone(),
        since: case.held_since,
        due_at,
        used_permille: limited
            .map(|(due_at, concerned)| used_permille(case, due_at, (timetable, concerned), now))
            .transpose()?,
        clock: limited
            .map(|(_, concerned)| clock_state(case, (timetable, concerned), now))
            .transpose()?,
        overdue: case.overdue,
        next: next(case),
        history,
    })
}

/// Whether an event belongs to the history of a case's escalation.
pub(crate) fn is_escalation(event: &Event) -> bool {
    matches!(
        event,
        Event::Escalated(_) | Event::DeadlineMissed(_) | Event::Supervised(_)
    )
}

/// Whether the history of a case's escalation has anything.
pub(crate) fn has_history(case: &Case) -> bool {
    case.escalations > 0 || case.deadlines_missed > 0 || case.supervised
}

fn due_at(case: &Case) -> Option<Timestamp> {
    case.state.is_open().then_some(case.due_at)
}

/// By what a limit is measured; without a policy by the clock on the wall.
type Measure<'a> = (Option<&'a Timetable>, Concerned<'a>);

fn elapsed(
    (timetable, concerned): Measure<'_>,
    from: Timestamp,
    to: Timestamp,
) -> Result<i64, ClockError> {
    match timetable {
        Some(timetable) => timetable.elapsed(concerned, from, to),
        None => Ok(to.since(from)),
    }
}

/// The clock of a suspended case stands at the moment of its suspension; the time that it stood before does
/// not count.
fn used_permille(
    case: &Case,
    due_at: Timestamp,
    measure: Measure<'_>,
    now: Timestamp,
) -> Result<u64, ClockError> {
    let until = case
        .suspension
        .as_ref()
        .map_or(now, |stopped| stopped.since);
    let mut stood = 0;
    for (since, until) in &case.stood {
        stood += elapsed(measure, *since, *until)?;
    }
    let counted = |millis: i64| u128::from(millis.max(0).unsigned_abs());
    let used = counted(elapsed(measure, case.due_since, until)? - stood);
    let whole = counted(elapsed(measure, case.due_since, due_at)? - stood).max(1);
    Ok(u64::try_from(used * 1_000 / whole).unwrap_or(u64::MAX))
}

fn clock_state(
    case: &Case,
    (timetable, concerned): Measure<'_>,
    now: Timestamp,
) -> Result<ClockState, ClockError> {
    if case.suspension.is_some() {
        return Ok(ClockState::Suspended);
    }
    let runs = timetable.map_or(Ok(true), |timetable| timetable.runs(concerned, now))?;
    Ok(match runs {
        true => ClockState::Runs,
        false => ClockState::Closed,
    })
}

fn next(case: &Case) -> Option<NextStep> {
    let level = case.holder.level;
    if let Some(suspension) = &case.suspension {
        return Some(NextStep {
            action: NextAction::Resume,
            at: suspension.until,
            level,
        });
    }
    if !case.state.is_open() || case.overdue {
        return None;
    }
    Some(match level.above() {
        Some(above) => NextStep {
            action: NextAction::Escalate,
            at: case.due_at,
            level: above,
        },
        None => NextStep {
            action: NextAction::MarkOverdue,
            at: case.due_at,
            level,
        },
    })
}

/// The word that the API writes for a value without fields.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a value without fields is a word: {other:?}"),
    }
}
