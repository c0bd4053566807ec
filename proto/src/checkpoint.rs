//! Checkpoints: what the log was at a size, signed by the installation that wrote it.
//!
//! The text is that of <https://c2sp.org/tlog-checkpoint>, in a signed note
//! (<https://c2sp.org/signed-note>) with an Ed25519 key that signs nothing else:
//!
//! ```text
//! gridkeeper/01980000-0000-7000-8000-000000000001     the origin: which log
//! 1178                                                how many messages
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=        the root
//!
//! — gridkeeper/01980000-0000-7000-8000-000000000001 Az3grl…
//! ```

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signed_note::{Note, NoteError, StandardSigner, StandardVerifier, Verifier as _, VerifierList};
use tlog_tiles::{Checkpoint as Text, tlog::Hash};

use crate::{
    code::{Code, Coded},
    envelope::Position,
    id::LogId,
    time::Timestamp,
    tree::{Frontier, TreeHash},
};

const NAME: &str = "gridkeeper";
/// What the extension line of a checkpoint begins with that names the last statement.
const STATED: &str = "stated ";

/// Which log a checkpoint is of. It is also the name of the key that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The log.
    pub log: LogId,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}/{}", self.log)
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let log = text.strip_prefix(NAME)?.strip_prefix('/')?;
        let origin = Self {
            log: log.parse().ok()?,
        };
        // An id has more than one way to be written, and a name only one.
        (origin.to_string() == text).then_some(origin)
    }
}

/// What a log was at a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its last position.
    pub position: Position,
    /// The root of its tree.
    pub root: TreeHash,
    /// When the last of the log's statements ([`crate::integrity`]) was made before this root was
    /// known; 1970 for none. A statement gives up what was known before it, and not what follows
    /// it.
    pub stated: Timestamp,
}

impl Checkpoint {
    /// What a log is whose last statement was made then.
    #[must_use]
    pub fn of(frontier: &Frontier, stated: Timestamp) -> Self {
        Self {
            position: frontier.position(),
            root: frontier.root(),
            stated,
        }
    }
}

impl From<&Frontier> for Checkpoint {
    fn from(frontier: &Frontier) -> Self {
        Self::of(frontier, Timestamp::EPOCH)
    }
}

/// Why a key does not sign, or a text is no checkpoint of the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The key is none.
    #[error("the key of checkpoints cannot be used: {reason}")]
    Key {
        /// What is wrong with it.
        reason: String,
    },
    /// The text is none that the key signed.
    #[error("this is no checkpoint that {origin} has signed: {reason}")]
    Note {
        /// The log that it has to be of.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Coded for CheckpointError {
    fn code(&self) -> Code {
        match self {
            Self::Key { .. } => Code(326),
            Self::Note { .. } => Code(327),
        }
    }
}

/// The keys of checkpoints: the private one and the public one that belongs to it.
pub struct CheckpointSigner {
    signer: StandardSigner,
    verifier: CheckpointVerifier,
}

impl fmt::Debug for CheckpointSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointSigner")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

impl CheckpointSigner {
    /// Reads a private key in the text form of signed notes, `PRIVATE+KEY+<origin>+…`, and its public key.
    ///
    /// # Errors
    /// [`CheckpointError::Key`]; also where the two do not belong together.
    pub fn parse(private: &str, public: &str) -> Result<Self, CheckpointError> {
        let signer = StandardSigner::new(private.trim()).map_err(|error| key(&error))?;
        let signs = Self {
            signer,
            verifier: CheckpointVerifier::parse(public)?,
        };
        let empty = Checkpoint::from(&Frontier::default());
        match signs.verifier.open(&signs.sign(&empty)?) {
            Ok(_) => Ok(signs),
            Err(_) => Err(key(
                &"the private and the public key do not belong together",
            )),
        }
    }

    /// The public key.
    #[must_use]
    pub fn verifier(&self) -> &CheckpointVerifier {
        &self.verifier
    }

    /// Which log it signs for.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.verifier.origin
    }

    /// Signs a checkpoint; gives the text of the note.
    ///
    /// # Errors
    /// [`CheckpointError::Key`] where the library refuses to sign.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<String, CheckpointError> {
        let Checkpoint {
            position,
            root,
            stated,
        } = *checkpoint;
        let origin = self.origin().to_string();
        let extension = match stated {
            Timestamp::EPOCH => String::new(),
            stated => format!("{STATED}{stated}\n"),
        };
        let text = Text::new(&origin, position.0, Hash(root.0), &extension);
        let text = text.map_err(|error| key(&error))?;
        let mut note = Note::new(&text.to_bytes(), &[]).map_err(|error| key(&error))?;
        note.add_sigs(&[&self.signer])
            .map_err(|error| key(&error))?;
        String::from_utf8(note.to_bytes()).map_err(|error| key(&error))
    }
}

/// The public key of checkpoints, `<origin>+<id>+<key>` in text: what an auditor needs to check them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointVerifier {
    origin: Origin,
    text: String,
}

impl CheckpointVerifier {
    /// Reads a public key in the text form of signed notes.
    ///
    /// # Errors
    /// [`CheckpointError::Key`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text.trim().to_owned();
        let verifier = StandardVerifier::new(&text).map_err(|error| key(&error))?;
        let origin = origin_of(verifier.name())?;
        Ok(Self { origin, text })
    }

    /// Which log it is of.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Reads a signed checkpoint, and checks that this key signed it.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] for a text that is malformed, of another log, or not signed by this key.
    pub fn open(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let refused = |reason: String| CheckpointError::Note {
            origin: self.origin.to_string(),
            reason,
        };
        let verifier = StandardVerifier::new(&self.text).map_err(|error| key(&error))?;
        let opened = Note::from_bytes(note.as_bytes()).and_then(|opened| {
            let verifiers = VerifierList::new(vec![Box::new(verifier)]);
            opened.verify(&verifiers).map(|_signed| opened)
        });
        let opened = opened.map_err(|error: NoteError| refused(error.to_string()))?;
        let text = Text::from_bytes(opened.text()).map_err(|error| refused(error.to_string()))?;
        if text.origin() != self.origin.to_string() {
            return Err(refused(format!("its origin is {}", text.origin())));
        }
        let stated = text
            .extension()
            .lines()
            .find_map(|line| line.strip_prefix(STATED));
        let stated = stated.map_or(Ok(Timestamp::EPOCH), str::parse);
        Ok(Checkpoint {
            position: Position(text.size()),
            root: TreeHash(text.hash().0),
            stated: stated.map_err(|error| refused(error.to_string()))?,
        })
    }
}

impl fmt::Display for CheckpointVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The texts of both keys that follow from an Ed25519 seed and its public key, for the log of an origin.
#[must_use]
pub fn key_texts(origin: Origin, seed: &[u8; 32], public: &[u8; 32]) -> (String, String) {
    /// The number of Ed25519 among the algorithms of signed notes.
    const ED25519: u8 = 1;
    let name = origin.to_string();
    let typed = |key: &[u8; 32]| [&[ED25519], key.as_slice()].concat();
    let id = signed_note::key_id(&name, &typed(public));
    let encode = |key: &[u8; 32]| STANDARD.encode(typed(key));
    (
        format!("PRIVATE+KEY+{name}+{id:08x}+{}", encode(seed)),
        format!("{name}+{id:08x}+{}", encode(public)),
    )
}

fn origin_of(name: &str) -> Result<Origin, CheckpointError> {
    Origin::parse(name).ok_or_else(|| CheckpointError::Key {
        reason: format!("its name is {name} and not gridkeeper/LOG"),
    })
}

fn key(error: &dyn fmt::Display) -> CheckpointError {
    CheckpointError::Key {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed and the public key of RFC 8032, section 7.1, test 1.
    fn texts() -> (String, String) {
        let bytes = |text: &str| text.parse::<TreeHash>().unwrap().0;
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let origin = Origin {
            log: "01980000-0000-7000-8000-000000000001".parse().unwrap(),
        };
        key_texts(origin, &seed, &public)
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            position: Position(1_178),
            root: TreeHash::of_leaf(b"root"),
            stated: Timestamp::EPOCH,
        }
    }

    #[test]
    fn what_is_signed_opens_and_anything_else_does_not() {
        let (private, public) = texts();
        let signer = CheckpointSigner::parse(&format!("{private}\n"), &public).unwrap();
        let verifier = CheckpointVerifier::parse(&public).unwrap();
        assert_eq!(signer.origin(), verifier.origin());
        let note = signer.sign(&checkpoint()).unwrap();
        let (first, _) = note.split_once('\n').unwrap();
        assert_eq!(first, signer.origin().to_string());
        assert_eq!(verifier.open(&note), Ok(checkpoint()));
        for (from, to) in [("1178", "1179"), ("01980000", "01980001"), ("\n\n", "\n")] {
            let refused = verifier.open(&note.replacen(from, to, 1)).unwrap_err();
            assert_eq!(refused.code(), Code(327), "{from}");
        }
        let stated = Checkpoint {
            stated: "2026-05-01T08:30:00.123Z".parse().unwrap(),
            ..checkpoint()
        };
        let noted = signer.sign(&stated).unwrap();
        assert_eq!(verifier.open(&noted), Ok(stated));
        assert!(verifier.open(&noted.replacen("08:30", "08:31", 1)).is_err());
        for end in 0..note.len() {
            if let Some(part) = note.get(..end) {
                assert!(verifier.open(part).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        let (private, public) = texts();
        for text in ["", "key", &public, &private.replace("gridkeeper", "other")] {
            let refused = CheckpointSigner::parse(text, &public).unwrap_err();
            assert_eq!(refused.code(), Code(326), "{text}");
        }
        // A bit of either, so that the two do not belong together.
        let flipped = public.replace("+A", "+B");
        assert!(CheckpointSigner::parse(&private, &flipped).is_err());
        for text in ["", &private, &public.replace('+', " ")] {
            assert!(CheckpointVerifier::parse(text).is_err(), "{text}");
        }
        assert!(!format!("{:?}", CheckpointSigner::parse(&private, &public)).contains("PRIVATE"));
    }
}
