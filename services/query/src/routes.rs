//! All routes of the service, and their document.

use gridkeeper_http::About;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{areas, cases, duty, events, inquiries, policies, questions::Handle};

pub(crate) const ABOUT: About = About {
    title: "Gridkeeper query",
    description: "Answers who holds a case, by when and where it goes next; lists, figures and events.",
};

/// The routes of the query service.
pub(crate) fn routes() -> OpenApiRouter<Handle> {
    cases::routes()
        .merge(areas::routes())
        .merge(events::routes())
        .merge(policies::routes())
        .merge(duty::routes())
        .merge(inquiries::routes())
}

/// The document of the endpoint, without starting it.
#[must_use]
pub fn document() -> OpenApi {
    gridkeeper_http::document(&ABOUT, &routes())
}
