//! Figures as readers get them.

use std::collections::BTreeMap;

use gridkeeper_district::Area;
use gridkeeper_proto::{
    api::{AreaFigures, Assessment, DayFigures, Figures, Took},
    area::Level,
    case::{CaseState, Severity},
    time::Day,
    view::{AreaDays, AreaSummary, DayRollup, Histogram},
};
use serde::Serialize;

use crate::status::word;

/// The figures of an area.
pub(crate) fn of_area(area: &Area, summary: AreaSummary) -> AreaFigures {
    let by_state = named(&CaseState::ALL, &summary.by_state);
    let open = CaseState::ALL
        .iter()
        .zip(summary.by_state)
        .filter(|(state, _)| state.is_open())
        .map(|(_, count)| count)
        .sum();
    AreaFigures {
        code: area.code(),
        name: area.name().to_owned(),
        level: area.level(),
        reported: summary.reported,
        open,
        overdue: summary.overdue,
        supervised: summary.supervised,
        closed_late: summary.closed_late,
        by_state,
        open_by_level: named(&Level::ALL, &summary.open_by_level),
        open_by_severity: named(&Severity::ALL, &summary.open_by_severity),
        open_by_category: summary.open_by_category,
        by_category: summary.by_category,
        by_source_state: summary.by_source_state,
        satisfied: summary.satisfied,
        dissatisfied: summary.dissatisfied,
    }
}

/// Counts under the names of what they count; zeros too, so that the same question has the same shape.
fn named(values: &[impl Serialize], counts: &[u64]) -> BTreeMap<String, u64> {
    let names = values.iter().map(word);
    names.zip(counts.iter().copied()).collect()
}

/// Every day of a span, in order.
pub(crate) fn of_days(days: AreaDays, from: Day, to: Day) -> Vec<DayFigures> {
    let mut counted = days.days.into_iter().peekable();
    (from.number()..=to.number())
        .filter_map(Day::from_number)
        .map(|day| {
            let rollup = counted.next_if(|(counted, _)| *counted == day);
            of_day(day, &rollup.map(|(_, rollup)| rollup).unwrap_or_default())
        })
        .collect()
}

/// How an area did.
pub(crate) fn assessment(area: &Area, span: &DayRollup) -> Assessment {
    Assessment {
        code: area.code(),
        name: area.name().to_owned(),
        figures: of_span(span),
    }
}

/// What was counted over a span of days.
pub(crate) fn of_span(span: &DayRollup) -> Figures {
    Figures {
        reported: span.reported,
        accepted: span.accepted,
        accepted_in_time: span.accepted_in_time,
        resolved: span.resolved,
        resolved_in_time: span.resolved_in_time,
        closed: span.closed,
        closed_in_time: span.closed_in_time,
        closed_late: span.closed_late,
        returned: span.returned,
        reworked: span.reworked,
        reopened: span.reopened,
        escalated: span.escalated,
        deadlines_missed: span.deadlines_missed,
        satisfied: span.satisfied,
        dissatisfied: span.dissatisfied,
        time_to_accept: took(&span.time_to_accept),
        time_to_resolve: took(&span.time_to_resolve),
    }
}

fn of_day(day: Day, rollup: &DayRollup) -> DayFigures {
    DayFigures {
        day,
        reported: rollup.reported,
        accepted: rollup.accepted,
        resolved: rollup.resolved,
        closed: rollup.closed,
        reopened: rollup.reopened,
        escalated: rollup.escalated,
        deadlines_missed: rollup.deadlines_missed,
        time_to_accept: took(&rollup.time_to_accept),
        time_to_resolve: took(&rollup.time_to_resolve),
    }
}

fn took(histogram: &Histogram) -> Took {
    Took {
        count: histogram.count(),
        median_s: histogram.percentile(50),
        p90_s: histogram.percentile(90),
    }
}
