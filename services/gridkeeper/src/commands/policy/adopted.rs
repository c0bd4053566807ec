//! `gridkeeper policy adopt`: a policy becomes the one in force.

use std::{path::PathBuf, time::Duration};

use gridkeeper_district::District;
use gridkeeper_proto::{api::RulesRequest, id::CommandId};

use crate::{
    door::{Answer, Door},
    error::Error,
    files, terminal,
};

/// How long intake may be down or busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lets a policy hold for the cases reported from now on. Older cases keep theirs.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Adopt {
    /// The policy, in the form of `policy.toml`; its version has to be above the one in force.
    policy: PathBuf,
    /// The district's folder, which the policy's calendar is found from.
    #[arg(long)]
    district: PathBuf,
    /// Intake's address.
    #[arg(long, default_value = "http://127.0.0.1:8401")]
    intake: String,
    /// A file with the token of an admin of the district.
    #[arg(long)]
    token_file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(command: Adopt) -> Result<(), Error> {
    let text = files::read(&command.policy)?;
    let district = District::load_with_policy(&command.district, &text)?;
    let token = files::read(&command.token_file)?;
    let door = Door::new(&command.intake, PATIENCE)?;
    let none = Error::NoPolicy {
        district: district.code(),
    };
    let command = district.policy().ok_or(none)?;
    // Policy and calendar are adopted together or not at all. Each attempt is a command of its own: what is in force
    // already makes no event.
    let request = RulesRequest {
        id: CommandId::new(uuid::Uuid::now_v7()),
        command,
    };
    match door.change_rules(token.trim(), &request).await? {
        Answer::Refused(refused) => Err(door.refused(refused).into()),
        Answer::Done(receipt) => terminal::answer(format!(
            "The policy is in force as of position {}",
            receipt.position
        )),
    }
}
