//! Keys and bearer tokens: who signs, who may be believed, and until when.
//!
//! A token is a JWT signed with Ed25519 (`alg` `EdDSA`, RFC 8037) over [`Claims`]. The installation
//! has one private key that signs ([`SigningKey`]) and any number of public keys that verify
//! ([`Verifier`]), named by the token's `kid`. Rotation: [`SigningKey::rotate`] makes a new key that
//! signs from then on; tokens of the old one hold until they expire, or until its public key is
//! removed from the folder and the services are started again. What the folder of keys may lack and be
//! given without asking: [`Gap`].
//!
//! No clock in here: whoever verifies says what time it is.
//!
//! [`Claims`]: gridkeeper_proto::access::Claims

mod checkpoint_key;
mod error;
mod folder;
mod keys;
mod kid;
mod provider;
mod token;

pub use checkpoint_key::{
    CheckpointKeyState, checkpoint_key_state, load_checkpoint_signer, load_checkpoint_verifier,
    make_checkpoint_key,
};
pub use error::{KeyError, TokenError};
pub use folder::Gap;
pub use keys::{SigningKey, complete, inspect};
pub use token::Verifier;
