//! Personal data of a case's parties, sealed with a key of the case's own.
//!
//! The key lives outside the log. Destroying it forgets the persons, and the log with its hashes stays
//! whole. Sealing is XChaCha20-Poly1305; the case's id is bound in, so that a section cannot be moved to
//! another case.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    code::{Code, Coded},
    envelope::decode_exact,
    id::CaseId,
};

/// A party to a dispute, or a person an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Name: 1 to 100 characters.
    pub name: String,
    /// Phone number: up to 30 characters.
    #[serde(default)]
    pub phone: Option<String>,
    /// Identity number: up to 30 characters.
    #[serde(default)]
    pub id_number: Option<String>,
    /// What the person is in the case, such as applicant or respondent: up to 100 characters.
    #[serde(default)]
    pub part: Option<String>,
}

/// The key of one case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CaseKey(pub [u8; 32]);

impl std::fmt::Debug for CaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CaseKey(..)")
    }
}

/// Parties, readable only with the case's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealedParties {
    /// 24 bytes, never the same twice under one key.
    #[schema(value_type = Vec<u8>)]
    pub nonce: [u8; 24],
    /// The parties' bytes and their tag.
    pub ciphertext: Vec<u8>,
}

/// Why a sealed section does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Wrong key, another case's section, or changed bytes.
    #[error("the sealed section does not open with this key for this case")]
    DoesNotOpen,
    /// It opens, and what is inside is not a list of parties.
    #[error("the sealed section opens and holds no list of parties")]
    Content,
}

impl Coded for SealError {
    fn code(&self) -> Code {
        Code(314)
    }
}

/// Seals the parties of a case.
///
/// The nonce has to be random: with the same key and nonce twice both contents are revealed.
///
/// # Errors
/// [`SealError::Content`] when the parties are too large to seal, which a checked report never is.
pub fn seal(
    key: CaseKey,
    nonce: [u8; 24],
    case: CaseId,
    parties: &[Party],
) -> Result<SealedParties, SealError> {
    let clear: Vec<PartyBytes> = parties.iter().map(PartyBytes::from).collect();
    let clear = postcard::to_allocvec(&clear).map_err(|_| SealError::Content)?;
    let cipher = XChaCha20Poly1305::new(&key.0.into());
    let ciphertext = cipher
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: &clear,
                aad: case.as_bytes(),
            },
        )
        .map_err(|_| SealError::Content)?;
    Ok(SealedParties { nonce, ciphertext })
}

/// Opens a case's section.
///
/// # Errors
/// Any [`SealError`].
pub fn open(key: CaseKey, case: CaseId, sealed: &SealedParties) -> Result<Vec<Party>, SealError> {
    let cipher = XChaCha20Poly1305::new(&key.0.into());
    let payload = Payload {
        msg: &sealed.ciphertext,
        aad: case.as_bytes(),
    };
    let clear = cipher
        .decrypt(&XNonce::from(sealed.nonce), payload)
        .map_err(|_| SealError::DoesNotOpen)?;
    let parties: Vec<PartyBytes> = decode_exact(&clear).map_err(|_| SealError::Content)?;
    Ok(parties.into_iter().map(Party::from).collect())
}

/// The stored form of a [`Party`], which JSON may describe differently.
#[derive(Serialize, Deserialize)]
struct PartyBytes(String, Option<String>, Option<String>, Option<String>);

impl From<&Party> for PartyBytes {
    fn from(party: &Party) -> Self {
        let Party {
            name,
            phone,
            id_number,
            part,
        } = party.clone();
        Self(name, phone, id_number, part)
    }
}

impl From<PartyBytes> for Party {
    fn from(PartyBytes(name, phone, id_number, part): PartyBytes) -> Self {
        Self {
            name,
            phone,
            id_number,
            part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(last: u8) -> CaseId {
        CaseId::from_bytes([last; 16])
    }

    fn parties() -> Vec<Party> {
        vec![Party {
            name: "甲".into(),
            phone: Some("0812-0000000".into()),
            id_number: None,
            part: Some("applicant".into()),
        }]
    }

    #[test]
    fn parties_open_with_their_key_for_their_case_only() {
        let key = CaseKey([1; 32]);
        let sealed = seal(key, [2; 24], case(1), &parties()).unwrap();
        assert_eq!(open(key, case(1), &sealed), Ok(parties()));
        assert_eq!(
            open(CaseKey([9; 32]), case(1), &sealed),
            Err(SealError::DoesNotOpen)
        );
        assert_eq!(open(key, case(2), &sealed), Err(SealError::DoesNotOpen));
        let mut changed = sealed;
        changed.ciphertext[0] ^= 1;
        assert_eq!(open(key, case(1), &changed), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn sealed_bytes_show_nothing_of_the_name() {
        let sealed = seal(CaseKey([1; 32]), [2; 24], case(1), &parties()).unwrap();
        let name = "甲".as_bytes();
        assert!(
            !sealed
                .ciphertext
                .windows(name.len())
                .any(|window| window == name)
        );
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", CaseKey([7; 32])), "CaseKey(..)");
    }
}
