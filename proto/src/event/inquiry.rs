//! The events of a first inquiry.

use super::family;
pub use super::v1::{
    InquiryAnsweredV1 as InquiryAnswered, InquiryDeclinedV1 as InquiryDeclined,
    InquiryHandedOverV1 as InquiryHandedOver, InquiryOfferedV1 as InquiryOffered,
    InquiryTakenV1 as InquiryTaken,
};

family! {
    /// An event of a first inquiry, in its newest version.
    pub enum InquiryEvent {
        /// 首问受理
        InquiryTaken = 121 v 1 "inquiry_taken";
        /// 请求移交
        InquiryOffered = 122 v 1 "inquiry_offered";
        /// 拒绝移交
        InquiryDeclined = 123 v 1 "inquiry_declined";
        /// 移交
        InquiryHandedOver = 124 v 1 "inquiry_handed_over";
        /// 答复
        InquiryAnswered = 125 v 1 "inquiry_answered";
    }
}
