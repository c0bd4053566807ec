//! What every HTTP endpoint of Gridkeeper shares.
//!
//! A service writes its own routes as an [`utoipa_axum::router::OpenApiRouter`], with [`Json`], [`Path`],
//! [`Query`] and [`Bearer`] as extractors and [`Problem`] as its refusal, and hands them to
//! [`application`], which adds what is the same everywhere: health, metrics, the OpenAPI document, the
//! pages of errors, refusals of unknown addresses and methods, and around each request its id, its
//! time limit, its log line and its measurements. [`serve`] then runs the result until it is told to
//! stop.
//!
//! ```no_run
//! use std::sync::Arc;
//! use gridkeeper_http::{About, Clock, Health, Options, Standard, application, listen, metrics, serve};
//! use tokio_util::sync::CancellationToken;
//! use utoipa_axum::router::OpenApiRouter;
//!
//! # async fn run() -> Result<(), gridkeeper_http::HttpError> {
//! let options = Options::default();
//! let clock = Clock::system();
//! let health = Health::new(&options, clock.now());
//! let follower = health.register("query follower", clock.now());
//! follower.progress(7, 7, clock.now());
//! let standard = Standard { health, clock, metrics: metrics::recorder()?, options: options.clone() };
//! let about = About { title: "Gridkeeper query", description: "Answers." };
//! let (router, _document) = application(&about, OpenApiRouter::new(), (), standard);
//! let listener = listen("127.0.0.1:0").await?;
//! serve(listener, router, CancellationToken::new(), options.drain()).await;
//! # Ok(())
//! # }
//! ```

mod application;
mod bearer;
mod clock;
mod compared_clock;
mod error;
mod extract;
mod health;
pub mod metrics;
mod options;
mod pages;
mod problem;
mod request;
mod serve;

pub use application::{About, Standard, application, document};
pub use bearer::Bearer;
pub use clock::Clock;
pub use compared_clock::{ClockFault, ComparedClock, Reading};
pub use error::HttpError;
pub use extract::{BodyLimit, Json, Path, Query, body_limit};
pub use health::{Check, CheckReport, Health, HealthReport};
pub use options::Options;
pub use pages::page as error_page_of;
pub use problem::{FieldError, PROBLEM_JSON, Problem, Refusals};
pub use request::RequestId;
pub use serve::{listen, serve};
