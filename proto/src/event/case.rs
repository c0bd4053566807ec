//! The events of a case's life.

pub use super::v1::{
    AcceptedV1 as Accepted, AssignedV1 as Assigned, CancelledV1 as Cancelled,
    ClockDifferedV1 as ClockDiffered, ClosedV1 as Closed, ExtendedV1 as Extended,
    HandlingRecordedV1 as HandlingRecorded, MergedV1 as Merged,
    PartiesForgottenV1 as PartiesForgotten, RatedV1 as Rated, RemindedV1 as Reminded,
    ReopenedV1 as Reopened, ReportedV1 as Reported, ResolvedV1 as Resolved, ResumedV1 as Resumed,
    ReturnedV1 as Returned, ReworkOrderedV1 as ReworkOrdered, SuspendedV1 as Suspended,
    TransferredV1 as Transferred, VerifiedV1 as Verified,
};
pub use super::v2::{
    DeadlineMissedV2 as DeadlineMissed, EscalatedV2 as Escalated, SupervisedV2 as Supervised,
};
use super::{family, v1, v2};
use crate::{case::Holder, time::Timestamp};

family! {
    /// An event of a case, in its newest version.
    pub enum CaseEvent {
        /// 上报
        Reported = 1 v 1 "reported";
        /// 受理
        Accepted = 2 v 1 "accepted";
        /// 派遣
        Assigned = 3 v 1 "assigned";
        /// 处置
        HandlingRecorded = 4 v 1 "handling_recorded";
        /// 办结
        Resolved = 5 v 1 "resolved";
        /// 核查 passed
        Verified = 6 v 1 "verified";
        /// 核查 failed: 返工
        ReworkOrdered = 7 v 1 "rework_ordered";
        /// 结案
        Closed = 8 v 1 "closed";
        /// 退回
        Returned = 9 v 1 "returned";
        /// 挂起
        Suspended = 10 v 1 "suspended";
        /// The clock of a suspended case runs again.
        Resumed = 11 v 1 "resumed";
        /// 移交
        Transferred = 12 v 1 "transferred";
        /// 逾期
        DeadlineMissed = 13 v 2 "deadline_missed", v 1 v1::DeadlineMissedV1;
        /// 升级
        Escalated = 14 v 2 "escalated", v 1 v1::EscalatedV1;
        /// 督办
        Supervised = 15 v 2 "supervised", v 1 v1::SupervisedV1;
        /// Merged with the case it repeats.
        Merged = 16 v 1 "merged";
        /// Opened again.
        Reopened = 17 v 1 "reopened";
        /// Not gone on with, with a reason.
        Cancelled = 18 v 1 "cancelled";
        /// 回访
        Rated = 19 v 1 "rated";
        /// The key to the parties' personal data was destroyed.
        PartiesForgotten = 20 v 1 "parties_forgotten";
        /// 提醒: a card ahead of the due time or after it.
        Reminded = 21 v 1 "reminded";
        /// 延期
        Extended = 22 v 1 "extended";
        /// 时钟不符: the command's events are recorded at the broker's time.
        ClockDiffered = 23 v 1 "clock_differed";
    }
}

impl CaseEvent {
    /// Whether a limit begins with this event, also where it ends at the same moment as the one before. What is
    /// assigned goes on with the time since it was accepted.
    #[must_use]
    pub fn begins_limit(&self) -> bool {
        matches!(
            self,
            Self::Reported(_)
                | Self::Accepted(_)
                | Self::Resolved(_)
                | Self::Verified(_)
                | Self::ReworkOrdered(_)
                | Self::Escalated(_)
                | Self::Reopened(_)
        )
    }

    /// The holder and due time that this event gives the case, where it gives them.
    #[must_use]
    pub fn charge(&self) -> Option<(&Holder, Timestamp)> {
        match self {
            Self::Reported(v1::ReportedV1 { holder, due_at, .. })
            | Self::Accepted(v1::AcceptedV1 { holder, due_at, .. })
            | Self::Assigned(v1::AssignedV1 { holder, due_at, .. })
            | Self::Resolved(v1::ResolvedV1 { holder, due_at, .. })
            | Self::Verified(v1::VerifiedV1 { holder, due_at, .. })
            | Self::ReworkOrdered(v1::ReworkOrderedV1 { holder, due_at, .. })
            | Self::Returned(v1::ReturnedV1 { holder, due_at, .. })
            | Self::Transferred(v1::TransferredV1 { holder, due_at, .. })
            | Self::Escalated(v2::EscalatedV2 { holder, due_at, .. })
            | Self::Reopened(v1::ReopenedV1 { holder, due_at, .. }) => Some((holder, *due_at)),
            _ => None,
        }
    }
}
