//! The events of the log itself.

use super::family;
pub use super::v1::{
    KeysLostV1 as KeysLost, LossAcceptedV1 as LossAccepted, LostEventV1 as LostEvent,
    MessageQuarantinedV1 as MessageQuarantined,
};

family! {
    /// A statement on the log itself, in its newest version.
    pub enum IntegrityEvent {
        /// Messages were lost, and somebody gave them up.
        LossAccepted = 141 v 1 "loss_accepted";
        /// A message is no event.
        MessageQuarantined = 142 v 1 "message_quarantined";
        /// Keys of sealed sections were lost.
        KeysLost = 143 v 1 "keys_lost";
    }
}
