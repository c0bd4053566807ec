//! The pages of `docs/errors/`, served where the `type` of a problem points.

use axum::{
    http::{StatusCode, header},
    response::IntoResponse,
};
use gridkeeper_proto::code::Code;

use crate::{Path, Problem};

/// Code and page, ordered by code.
static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code such as `GK0203`: title, what happened, what was kept, what to do.
#[must_use]
pub fn page(code: &str) -> Option<&'static str> {
    let place = PAGES.binary_search_by_key(&code, |(code, _)| code).ok()?;
    PAGES.get(place).map(|(_, page)| *page)
}

/// Explains an error code.
#[utoipa::path(
    get,
    path = "/errors/{code}",
    tag = "standard",
    params(("code" = String, Path, description = "A stable error code", example = "GK0203")),
    responses(
        (status = 200, description = "What happened, what was kept, what to do", content_type = "text/markdown", body = String),
        (status = 404, description = "No such code", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(crate) async fn error_page(Path(code): Path<String>) -> Result<impl IntoResponse, Problem> {
    let page = page(&code).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, Code(30), "no such address")
            .detail("There is no such error code. Codes look like GK0203.")
    })?;
    Ok((
        [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")],
        page,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_opens_with_its_code_and_tells_the_three_things() {
        assert!(PAGES.len() > 20);
        for (code, page) in PAGES {
            let title = page.lines().next().unwrap_or_default();
            assert!(title.starts_with(&format!("# {code}: ")), "{code}: {title}");
            assert!(page.lines().count() >= 4, "{code} says too little");
        }
    }

    #[test]
    fn the_codes_of_requests_access_and_keys_have_their_pages() {
        for number in (1..=13).chain(20..=27).chain(30..=35) {
            let code = Code(number).to_string();
            assert!(page(&code).is_some(), "docs/errors/{code}.md is missing");
        }
    }
}
