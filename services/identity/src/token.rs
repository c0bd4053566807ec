//! Verifying a token, step by step, from its shape to its claims.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::RwLock,
};

use gridkeeper_proto::{access::Claims, area::AreaCode, time::Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};

use crate::{KeyError, TokenError, keys, kid, provider};

/// The longest token that is looked at, in bytes; one for a hundred grids takes 2 kB.
const LONGEST: usize = 8 * 1024;

/// How many tokens are remembered at the most: several for each phone and desk of a large district.
const REMEMBERED: usize = 16_384;

/// The public keys by which tokens are believed.
///
/// A token that was believed is remembered with its claims: checking its signature takes longer
/// than all else that is done for a report. Keys are read once, so nothing that was believed stops
/// being so but by its time.
pub struct Verifier {
    keys: BTreeMap<String, DecodingKey>,
    /// The ids that earlier versions gave to the same keys, and the ids of now. Tokens bear them.
    earlier: BTreeMap<String, String>,
    validation: Validation,
    district: Option<AreaCode>,
    believed: RwLock<HashMap<Box<str>, Claims>>,
}

impl Verifier {
    /// Loads the public keys of the folder. With a district, tokens for areas outside it are
    /// refused.
    ///
    /// Keys are read once: a service sees a rotation at its next start.
    ///
    /// # Errors
    /// [`KeyError`]: no key, or one that is damaged, or the signing key's own is not among them. A
    /// process that only verifies needs no signing key.
    pub fn load(folder: &Path, district: Option<AreaCode>) -> Result<Self, KeyError> {
        provider::install();
        let publics = keys::verifying_keys(folder)?.by_kid;
        let earlier = publics
            .iter()
            .map(|(kid, key)| (kid::earlier(key), kid.clone()))
            .collect();
        let keys = publics
            .into_iter()
            .map(|(kid, key)| (kid, DecodingKey::from_ed_der(key.as_bytes())))
            .collect();
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The library would ask the machine's clock; `verify` compares with the time it is given.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Ok(Self {
            keys,
            earlier,
            validation,
            district,
            believed: RwLock::default(),
        })
    }

    /// The names of the keys that are believed.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The claims of a token that holds at this moment. There is no leeway: a token does not hold
    /// in the second that `exp` names. `iat` may lie ahead of `now`, since clocks of machines
    /// differ.
    ///
    /// # Errors
    /// [`TokenError`], the first that applies: missing, malformed, forged, claims, expired.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > LONGEST {
            return Err(TokenError::Malformed {
                reason: "it is longer than 8192 bytes",
            });
        }
        let remembered = self.believed.read().ok();
        let remembered = remembered.and_then(|believed| believed.get(token).cloned());
        let claims = match remembered {
            Some(claims) => claims,
            None => self.believe(token)?,
        };
        if claims.expired(now) {
            return Err(TokenError::Expired { exp: claims.exp });
        }
        Ok(claims)
    }

    /// The claims of a token that is whole and signed, whether or not its time is over.
    fn believe(&self, token: &str) -> Result<Claims, TokenError> {
        let key = self.key_of(token)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|error| refusal(error.kind()))?
            .claims;
        claims.check()?;
        if let Some(district) = self.district {
            claims.only_in(district)?;
        }
        if let Ok(mut believed) = self.believed.write() {
            // Whoever is sent away by this is only checked once more.
            if believed.len() >= REMEMBERED {
                believed.clear();
            }
            believed.insert(token.into(), claims.clone());
        }
        Ok(claims)
    }

    /// The key that the token's header names, once the header asks for nothing unusual.
    fn key_of(&self, token: &str) -> Result<&DecodingKey, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            // A header that is JSON, but of no algorithm the library knows, such as "none".
            ErrorKind::Json(error) if error.is_data() => TokenError::Forged {
                reason: "its algorithm is not EdDSA",
            },
            _ => TokenError::Malformed {
                reason: "it does not begin with the header of a JWT",
            },
        })?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::Forged {
                reason: "its algorithm is not EdDSA",
            });
        }
        if header.crit.is_some() {
            let reason = "its header demands an extension ('crit') that is not known here";
            return Err(TokenError::Malformed { reason });
        }
        let kid = header.kid.ok_or(TokenError::Forged {
            reason: "it names no key ('kid')",
        })?;
        let kid = self.earlier.get(&kid).unwrap_or(&kid);
        self.keys.get(kid).ok_or(TokenError::Forged {
            reason: "its key ('kid') is not known",
        })
    }
}

fn refusal(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Forged {
            reason: "the signature does not belong to it",
        },
        ErrorKind::Json(_) => TokenError::Malformed {
            reason: "its claims are not exactly sub, role, areas, iat, exp",
        },
        _ => TokenError::Malformed {
            reason: "it is not three parts of base64url",
        },
    }
}

#[cfg(test)]
mod tests;
