//! Text armour around DER (RFC 7468), read as OpenSSL reads it and written strictly.

mod fault;
mod label;
mod read;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::Error;
pub(crate) use label::{Kind, Label};
pub(crate) use read::find;

/// One block between a BEGIN and an END line.
pub(crate) struct Block {
    pub(crate) label: Label,
    /// Empty if it is encrypted.
    pub(crate) der: Zeroizing<Vec<u8>>,
    /// By headers of RFC 1421 (`Proc-Type: 4,ENCRYPTED`), as old tools do.
    pub(crate) encrypted: bool,
}

/// The blocks of `bytes` that are of a wanted kind; of the others, not even the base64 is looked at.
///
/// Around the blocks may be anything: text in any encoding, a byte order mark, NUL. Lines end in LF or CR LF, white
/// space may follow. What OpenSSL does not take for a block although it was meant as one, is an error.
pub(crate) fn blocks(bytes: &[u8], wanted: impl Fn(Kind) -> bool) -> Result<Vec<Block>, Error> {
    read::blocks(bytes, wanted)
}

/// Whether there is the start of a block, as OpenSSL or as people see it.
pub(crate) fn is_armoured(bytes: &[u8]) -> bool {
    find(bytes, b"-----BEGIN ").is_some()
}

/// The labels of all blocks, as far as they can be told.
pub(crate) fn labels(bytes: &[u8]) -> Vec<Label> {
    let line_labels = bytes.split(|byte| *byte == b'\n').filter_map(read::begun);
    line_labels.collect()
}

/// `None` unless it is base64, white space between apart.
fn decode(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut body: Zeroizing<Vec<u8>> = Zeroizing::new(
        body.iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    clear_unused_bits(&mut body);
    let mut der = Zeroizing::new(vec![0; body.len() / 4 * 3 + 3]);
    let length = Base64::decode(&body[..], &mut der[..]).ok()?.len();
    der.truncate(length);
    Some(der)
}

/// The bits of the last character that stand for nothing are ignored by OpenSSL, and must be zero for our decoder.
fn clear_unused_bits(body: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let unused = match body {
        [.., b'=', b'='] => 4,
        [.., b'='] => 2,
        _ => return,
    };
    let last = body.iter_mut().rfind(|byte| **byte != b'=');
    if let Some(last) = last {
        if let Some(value) = ALPHABET.iter().position(|letter| letter == last) {
            *last = ALPHABET[value >> unused << unused];
        }
    }
}

/// Writes one block, lines of 64 characters, each ended by LF.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let mut text = Zeroizing::new(String::new());
    write(&mut text, label, der);
    std::mem::take(&mut *text)
}

/// Like [`encode`], for secrets.
pub(crate) fn encode_secret(label: &str, der: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    write(&mut text, label, der);
    text
}

fn write(text: &mut String, label: &str, der: &[u8]) {
    // Reserved at once: growing would leave copies of a secret behind.
    let body = Base64::encoded_len(der);
    text.reserve(body + body / 64 + 2 * label.len() + 64);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut line = Zeroizing::new([0u8; 64]);
    for chunk in der.chunks(48) {
        // 48 octets always fit a line of 64 characters.
        if let Ok(line) = Base64::encode(chunk, &mut line[..]) {
            text.push_str(line);
        }
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
}

#[cfg(test)]
mod tests;
