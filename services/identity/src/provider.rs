//! The cryptography behind the token library: Ed25519 and nothing else.
//!
//! The library can bring its own, with RSA, ECDSA and HMAC for every algorithm a JWT may name. A
//! verifier that cannot do those cannot be talked into them, so this process knows only one.

use std::sync::Once;

use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey, pkcs8::DecodePrivateKey as _,
};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Signer, Verifier},
};

static EDDSA_ONLY: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Eddsa::signer(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(EddsaVerifier::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs the provider for this process; to be called before every use of the library.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        EDDSA_ONLY
            .install_default()
            .expect("this crate alone uses the token library, so nothing was installed before");
    });
}

struct Eddsa(SigningKey);

impl Eddsa {
    fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, Error> {
        if algorithm != Algorithm::EdDSA || key.family() != AlgorithmFamily::Ed {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        SigningKey::from_pkcs8_der(key.as_bytes())
            .map(Self)
            .map_err(|_| ErrorKind::InvalidEddsaKey.into())
    }
}

impl Signer<Vec<u8>> for Eddsa {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

impl JwtSigner for Eddsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct EddsaVerifier(VerifyingKey);

impl EddsaVerifier {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        if algorithm != Algorithm::EdDSA || key.family() != AlgorithmFamily::Ed {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        let bytes = key
            .try_get_as_bytes()?
            .try_into()
            .map_err(|_| ErrorKind::InvalidEddsaKey)?;
        VerifyingKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| ErrorKind::InvalidEddsaKey.into())
    }
}

impl Verifier<Vec<u8>> for EddsaVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        // Strict: refuses the signatures that a weak key or a second encoding would also make valid.
        Signature::from_slice(signature)
            .and_then(|signature| self.0.verify_strict(message, &signature))
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for EddsaVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
