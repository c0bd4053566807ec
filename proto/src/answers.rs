//! The commands that an aggregate has answered, so that the same one again gets the same answer, after a minute
//! and after a month.

use serde::{Deserialize, Serialize};

use crate::{
    access::AccessError,
    case::Refusal,
    envelope::{Header, Position},
    id::CommandId,
};

/// The commands that an aggregate has answered, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers(Vec<Answered>);

/// A command that was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The command.
    pub command: CommandId,
    /// Digest of its content.
    pub digest: [u8; 8],
    /// The place of its last event.
    pub position: Position,
    /// The aggregate's version after it.
    pub version: u32,
}

impl Answers {
    /// Takes in an event. All events of one command share its entry, which ends at the last of them. What happens
    /// by itself is nobody's command, and may happen for years: it is not remembered.
    pub fn remember(&mut self, position: Position, header: &Header, version: u32) {
        if header.actor.is_gridkeeper() {
            return;
        }
        let answer = Answered {
            command: header.command_id,
            digest: header.command_digest,
            position,
            version,
        };
        match self.0.last_mut() {
            Some(last) if last.command == answer.command => *last = answer,
            _ => self.0.push(answer),
        }
    }

    /// The answer given to a command before.
    #[must_use]
    pub fn to(&self, command: CommandId) -> Option<&Answered> {
        self.0.iter().rev().find(|answer| answer.command == command)
    }

    /// The answer given before to a command of this content. `reach` says whether whoever asks could have sent
    /// the command: only they learn that it was answered.
    ///
    /// # Errors
    /// The id stands for another content, or whoever asks could not have sent the command.
    pub fn again(
        &self,
        (command, digest): (CommandId, [u8; 8]),
        reach: Result<(), AccessError>,
    ) -> Result<Option<&Answered>, Refusal> {
        let Some(answer) = self.to(command) else {
            return Ok(None);
        };
        reach?;
        match answer.digest == digest {
            true => Ok(Some(answer)),
            false => Err(Refusal::IdReused),
        }
    }
}
