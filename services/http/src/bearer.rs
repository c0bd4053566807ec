//! Who sends the request.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use gridkeeper_identity::{TokenError, Verifier};
use gridkeeper_proto::access::Claims;

use crate::{Clock, Problem};

/// The claims of the request's bearer token, verified against the state's keys and clock.
#[derive(Clone, Debug)]
pub struct Bearer(pub Claims);

impl<S> FromRequestParts<S> for Bearer
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(TokenError::Missing)?;
        if values.next().is_some() {
            let reason = "the header 'Authorization' was sent more than once";
            return Err(TokenError::Malformed { reason }.into());
        }
        let value = value.to_str().map_err(|_| TokenError::Malformed {
            reason: "the header 'Authorization' holds other characters than ASCII",
        })?;
        let (scheme, token) = value.trim().split_once(' ').ok_or(TokenError::Missing)?;
        // RFC 9110, section 11.1: the scheme is compared without regard to case.
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Missing.into());
        }
        let verifier = Arc::<Verifier>::from_ref(state);
        let claims = verifier.verify(token.trim(), Clock::from_ref(state).now())?;
        Ok(Self(claims))
    }
}
