//! Keys and values as they stand in a generation.

use std::{fmt::Write, mem, path::Path};

use gridkeeper_proto::envelope::decode_exact;
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// First byte of every typed value. Another layout gets another number.
const FORMAT: u8 = 1;

/// The first byte of keys that the store keeps for itself.
pub(crate) const RESERVED: u8 = 0;

/// The bytes of a typed value: format byte, then postcard. What `scratch` holds is overwritten; used again and again
/// it has grown already.
pub(crate) fn encode<T: Serialize + ?Sized>(
    key: &[u8],
    value: &T,
    scratch: &mut Vec<u8>,
) -> Result<Vec<u8>, Error> {
    scratch.clear();
    scratch.push(FORMAT);
    *scratch =
        postcard::to_extend(value, mem::take(scratch)).map_err(|refused| Error::Unencodable {
            key: hexadecimal(key),
            reason: refused.to_string(),
        })?;
    Ok(scratch.as_slice().to_vec())
}

/// The value in these bytes, all of them used.
pub(crate) fn decode<T: DeserializeOwned>(
    folder: &Path,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, Error> {
    let undecodable = || Error::Undecodable {
        folder: folder.to_owned(),
        key: hexadecimal(key),
    };
    match bytes.split_first() {
        Some((&FORMAT, rest)) => decode_exact(rest).map_err(|_| undecodable()),
        _ => Err(undecodable()),
    }
}

/// Refuses the keys that belong to the store.
pub(crate) fn check_key(key: &[u8]) -> Result<(), Error> {
    match key.first() {
        None | Some(&RESERVED) => Err(Error::ReservedKey {
            key: hexadecimal(key),
        }),
        Some(_) => Ok(()),
    }
}

/// The smallest key above every key with this prefix; none when the prefix is all `0xff`.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
