//! Reports.

use super::{CLOCK_SKEW, DAY, Decided, Situation, text};
use crate::{
    case::{Holder, Refusal, Stage, moment::Late},
    command::Report,
    event::{CaseEvent, Closed, Reported},
    policy::Concerned,
};

impl Situation<'_> {
    pub(super) fn report(&self, report: &Report) -> Result<Vec<Decided>, Refusal> {
        if self.case.is_some() {
            return Err(Refusal::IdReused);
        }
        self.claims.may_file(self.grid)?;
        text("description", &report.description)?;
        self.check_report_times(report)?;
        let imported = report.imported.as_ref();
        let recorded_at = imported.map_or(self.now, |imported| imported.reported_at);
        let limits = self
            .policy
            .policy()
            .limits(&report.category, report.severity);
        let level = limits.starts_at;
        let concerned = Concerned {
            category: &report.category,
            severity: report.severity,
            stage: Stage::Accept,
            level,
        };
        let holder = Holder::of_level(level, self.grid);
        // The due time of an imported record is its own.
        let due_at = match imported.and_then(|imported| imported.due_at) {
            Some(due_at) => due_at,
            None => self.policy.due(concerned, recorded_at)?,
        };
        let reported = CaseEvent::Reported(Reported {
            kind: report.kind,
            category: report.category.clone(),
            severity: report.severity,
            channel: report.channel,
            description: report.description.clone(),
            place: report.place.clone(),
            people: report.people,
            parties: report.parties.clone(),
            filed_at: report.filed_at,
            source: imported.map(|imported| imported.source.clone()),
            policy: self.policy.policy().version,
            holder: holder.clone(),
            due_at,
        });
        let mut events = vec![Decided {
            recorded_at,
            event: reported,
        }];
        if let Some(closing) = imported.and_then(|imported| imported.closed.as_ref()) {
            let in_time = imported
                .and_then(|imported| imported.due_at)
                .zip(closing.at)
                .map(|(due_at, closed_at)| closed_at <= due_at);
            let event = Closed {
                note: String::new(),
                moment_known: closing.at.is_some(),
                in_time,
            };
            let recorded_at = closing.at.unwrap_or(recorded_at);
            events.push(Decided {
                recorded_at,
                event: CaseEvent::Closed(event),
            });
            return Ok(events);
        }
        if imported.is_some() && due_at <= self.now {
            let late = Late {
                concerned,
                holder: &holder,
                grid: self.grid,
                due_at,
                by_rule: imported.is_some_and(|imported| imported.due_at.is_none()),
                supervised: false,
            };
            // The district could know of it only now.
            let late = late.events(self.policy, self.now)?.into_iter();
            let recorded_at = self.now;
            events.extend(late.map(|event| Decided { recorded_at, event }));
        }
        Ok(events)
    }

    pub(super) fn check_report_times(&self, report: &Report) -> Result<(), Refusal> {
        let absurd = |field, why| Err(Refusal::AbsurdTime { field, why });
        if let Some(imported) = &report.imported {
            self.claims.may_import()?;
            let closed_at = imported.closed.as_ref().and_then(|closing| closing.at);
            if imported.reported_at > self.now {
                return absurd("imported.reported_at", "lies in the future");
            }
            if closed_at.is_some_and(|at| at > self.now) {
                return absurd("imported.closed.at", "lies in the future");
            }
            if closed_at.is_some_and(|at| at < imported.reported_at) {
                return absurd("imported.closed.at", "lies before the report");
            }
        }
        let Some(filed_at) = report.filed_at else {
            return Ok(());
        };
        let waited = self.now.since(filed_at);
        if waited < -CLOCK_SKEW {
            let why = "lies in the future: set the phone's clock";
            return Err(Refusal::AbsurdTime {
                field: "filed_at",
                why,
            });
        }
        if waited > 366 * DAY {
            let why = "lies more than 366 days back";
            return Err(Refusal::AbsurdTime {
                field: "filed_at",
                why,
            });
        }
        Ok(())
    }
}
