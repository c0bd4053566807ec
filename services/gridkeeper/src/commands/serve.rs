//! `gridkeeper intake`, `aggregator`, `escalator`, `query`: one service in a process of its own, on a
//! broker that runs elsewhere.

use std::sync::Arc;

use crate::{
    error::Error,
    installation::{Installation, Place},
    logging,
    signals::asked_to_stop,
    supervise::Parts,
};

/// Runs one service until it is asked to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
}

/// A service that runs alone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service {
    Intake,
    Aggregator,
    Escalator,
    Query,
}

/// Runs the service until the process is asked to stop; with the query service also an aggregator, where it answers
/// from views of its own process.
pub(super) async fn run(command: Command, service: Service) -> Result<(), Error> {
    gridkeeper_private::mask();
    logging::begin();
    let asked = asked_to_stop()?;
    let installation = Arc::new(Installation::open(&command.place)?);
    installation.check()?;
    let mut parts = Parts::default();
    let also = Arc::clone(&installation);
    if matches!(service, Service::Query) && also.keeps_views_for_query() {
        parts.start("aggregator", |stop| also.aggregator(stop));
    }
    match service {
        Service::Intake => parts.start("intake", |stop| installation.intake(stop)),
        Service::Aggregator => parts.start("aggregator", |stop| installation.aggregator(stop)),
        Service::Escalator => parts.start("escalator", |stop| installation.escalator(stop)),
        Service::Query => parts.start("query", |stop| installation.query(stop)),
    }
    parts.run(asked).await
}
