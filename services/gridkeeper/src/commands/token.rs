//! `gridkeeper token`: issues a bearer token with the installation's key.

use gridkeeper_http::Clock;
use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
};

use super::DataFolder;
use crate::{error::Error, terminal};

const DAY_SECONDS: u64 = 86_400;

/// Issues a bearer token.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    data: DataFolder,
    /// What the bearer does: grid_worker, community, street, centre, analyst, admin or service.
    #[arg(long, value_parser = role)]
    role: Role,
    /// An area that the bearer acts in; may be given more than once.
    #[arg(long = "area", required = true)]
    areas: Vec<AreaCode>,
    /// The bearer's id: 1 to 64 characters. Events name it.
    #[arg(long)]
    id: String,
    /// For how many days the token holds.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3660))]
    days: u64,
}

/// The role of this name, as tokens write it.
fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
}

/// Prints the token, and nothing else.
pub(super) fn run(command: &Command) -> Result<(), Error> {
    let key = command.data.signing_key()?;
    let seconds = command.days * DAY_SECONDS;
    let (id, areas) = (command.id.clone(), command.areas.clone());
    let claims = Claims::lasting(id, command.role, areas, Clock::system().now(), seconds);
    terminal::answer(key.issue(&claims)?)
}
