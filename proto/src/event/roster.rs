//! The events of an area's roster.

use super::family;
pub use super::v1::{
    AbsenceRecordedV1 as AbsenceRecorded, AbsenceWithdrawnV1 as AbsenceWithdrawn,
    RosterPlannedV1 as RosterPlanned,
};

family! {
    /// An event of an area's roster, in its newest version.
    pub enum RosterEvent {
        /// 排班
        RosterPlanned = 111 v 1 "roster_planned";
        /// 请假
        AbsenceRecorded = 112 v 1 "absence_recorded";
        /// 销假
        AbsenceWithdrawn = 113 v 1 "absence_withdrawn";
    }
}
