//! The events of a district's rules.

use super::family;
pub use super::v1::{CalendarAdoptedV1 as CalendarAdopted, PolicyAdoptedV1 as PolicyAdopted};

family! {
    /// An event of the district's rules, in its newest version.
    pub enum RulesEvent {
        /// A policy holds for cases reported from now on.
        PolicyAdopted = 101 v 1 "policy_adopted";
        /// A year of the calendar is known, or known better.
        CalendarAdopted = 102 v 1 "calendar_adopted";
    }
}
