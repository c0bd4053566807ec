//! Texts that people write into commands.

use crate::case::Refusal;

/// A text that says something: 1 to 4,000 characters.
///
/// # Errors
/// [`Refusal::TextLength`].
pub(crate) fn text(field: &'static str, text: &str) -> Result<(), Refusal> {
    let allowed = "1 to 4,000";
    match text.trim().is_empty() || text.chars().count() > 4_000 {
        true => Err(Refusal::TextLength { field, allowed }),
        false => Ok(()),
    }
}

/// A remark: up to 4,000 characters.
///
/// # Errors
/// [`Refusal::TextLength`].
pub(crate) fn optional_text(field: &'static str, text: &str) -> Result<(), Refusal> {
    match text.chars().count() > 4_000 {
        true => Err(Refusal::TextLength {
            field,
            allowed: "at most 4,000",
        }),
        false => Ok(()),
    }
}
