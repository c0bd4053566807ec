//! `gridkeeper roster`: plans of duty, and whether they keep to the policy's staffing rules.

use std::{path::PathBuf, time::Duration};

use gridkeeper_district::District;
use gridkeeper_proto::{
    api::RosterRequest,
    duty::{Gap, Plan, Roster, RosterCommand, gaps},
    id::CommandId,
};

use crate::{
    door::{Answer, Door},
    error::Error,
    files, terminal,
};

/// How long intake may be down or busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do with plans of duty.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check a plan and list the hours in which too few would be on duty. Nothing is changed.
    Check(Check),
    /// Put a plan in place of what was planned for its days.
    Load(Load),
}

/// Checks a plan.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The plan, as TOML: docs/duty.md shows the form.
    plan: PathBuf,
    /// The district's folder, with the policy whose staffing rules count.
    #[arg(long)]
    district: PathBuf,
    /// Print the gaps as JSON.
    #[arg(long)]
    json: bool,
}

/// Loads a plan.
#[derive(Debug, clap::Args)]
pub(super) struct Load {
    #[command(flatten)]
    check: Check,
    /// Intake's address.
    #[arg(long, default_value = "http://127.0.0.1:8401")]
    intake: String,
    /// A file with the token of somebody who plans duty in the area.
    #[arg(long)]
    token_file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Check(check) => {
            let plan = read(&check)?;
            show(&check, &gaps_of(&check, &plan)?)
        }
        Command::Load(load) => {
            let plan = read(&load.check)?;
            let gaps = gaps_of(&load.check, &plan)?;
            send(&load, plan).await?;
            show(&load.check, &gaps)
        }
    }
}

fn read(command: &Check) -> Result<Plan, Error> {
    let text = files::read(&command.plan)?;
    let plan: Plan = toml::from_str(&text).map_err(|error| Error::Form {
        path: command.plan.clone(),
        detail: error.to_string(),
    })?;
    plan.check()?;
    Ok(plan)
}

/// By the rules of the district's folder. Who is absent only the log knows: the API tells that.
fn gaps_of(command: &Check, plan: &Plan) -> Result<Vec<Gap>, Error> {
    let district = District::load(&command.district)?;
    let none = Error::NoPolicy {
        district: district.code(),
    };
    let staffing = &district.timetable().ok_or(none)?.policy().staffing;
    let days = district.days()?;
    let roster = Roster::planned(plan, &days)?;
    let of = (plan.area, &roster);
    Ok(gaps(of, staffing, &days, (plan.from, plan.to))?)
}

async fn send(command: &Load, plan: Plan) -> Result<(), Error> {
    let token = files::read(&command.token_file)?;
    let door = Door::new(&command.intake, PATIENCE)?;
    let area = plan.area;
    let request = RosterRequest {
        id: CommandId::new(uuid::Uuid::now_v7()),
        command: RosterCommand::Plan { plan },
    };
    match door.change_roster(token.trim(), area, &request).await? {
        Answer::Refused(refused) => Err(door.refused(refused).into()),
        Answer::Done(receipt) => terminal::answer(format!(
            "The plan of {area} is recorded at position {}",
            receipt.position
        )),
    }
}

fn show(command: &Check, gaps: &[Gap]) -> Result<(), Error> {
    if command.json {
        return terminal::json(&gaps);
    }
    for gap in gaps {
        let Gap {
            area,
            rule,
            from,
            to,
            at_least,
            on_duty,
        } = gap;
        terminal::answer(format!(
            "{area} {rule}: {from} to {to}: {} of {at_least} on duty {}",
            on_duty.len(),
            on_duty.join(", ")
        ))?;
    }
    terminal::answer(match gaps.len() {
        0 => "Everywhere enough are on duty".to_owned(),
        count => format!("{count} times too few are on duty"),
    })
}
