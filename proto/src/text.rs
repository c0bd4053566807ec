//! Texts that people write into commands.

use crate::{access::Claims, case::Refusal};

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

/// Whether a text can name a person: as in a token, 1 to 64 characters, none of them a control character.
pub(crate) fn names_person(name: &str) -> bool {
    let length = name.chars().take(Claims::SUB_LONGEST + 1).count();
    let said = (1..=Claims::SUB_LONGEST).contains(&length) && !name.trim().is_empty();
    said && !name.chars().any(char::is_control)
}

/// Whether a text can name a post or a unit: 1 to 100 characters, none of them a control character.
pub(crate) fn names_post(name: &str) -> bool {
    let said = !name.trim().is_empty() && name.chars().count() <= 100;
    said && !name.chars().any(char::is_control)
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
