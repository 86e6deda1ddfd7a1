//! Octets as text.

use std::fmt::Write;

/// Lower-case hex, two digits an octet.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A serial number as OpenSSL writes it but for case: without the zero octet that only says that it is positive.
pub(crate) fn serial_hex(bytes: &[u8]) -> String {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => hex(rest),
        all => hex(all),
    }
}
