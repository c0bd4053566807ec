//! The ids of keys.
//!
//! The id of a key, `kid` in tokens and in the names of files, is its JWK thumbprint (RFC 7638, RFC
//! 8037 appendix A.3): the SHA-256 of the whole public key in its standard form, as base64url. So a
//! file whose key is not the one that was written, be it by one bit, does not fit its name, and
//! other implementations of tokens compute the same id.
//!
//! Earlier versions took the first 8 of the key's 32 bytes, in hexadecimal. Tokens that carry such
//! an id are still believed until they expire.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};

/// The id of a key: 43 characters of base64url.
pub(crate) fn of(key: &VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
    // RFC 7638: the required members only, in the order of the alphabet, without spaces.
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
}

/// The id that earlier versions gave to a key: 16 hexadecimal digits.
pub(crate) fn earlier(key: &VerifyingKey) -> String {
    let covered = key.as_bytes().iter().take(8);
    covered.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8037, appendix A.2.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn an_id_is_the_thumbprint_of_rfc_8037() {
        let bytes = URL_SAFE_NO_PAD.decode(X).unwrap();
        let key = VerifyingKey::from_bytes(&bytes.try_into().unwrap()).unwrap();
        assert_eq!(of(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(earlier(&key), "d75a980182b10ab7");
    }
}
