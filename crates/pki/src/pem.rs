//! Text armour around DER (RFC 7468), read as leniently as OpenSSL and written strictly.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::Error;

/// One block between a BEGIN and an END line.
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Splits `text` into its blocks.
///
/// Text around the blocks, CR LF line ends and trailing spaces are accepted: foreign tools write all of them.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<Block>, Error> {
    blocks_of(text, |_| true)
}

/// Of the blocks of `text`, those whose label is wanted; of the others, not even the base64 is looked at.
pub(crate) fn blocks_of(text: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Block>, Error> {
    let text = std::str::from_utf8(text).map_err(|_| Error::malformed("PEM", "is not text"))?;
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Zeroizing<String>)> = None;
    for line in text.lines() {
        let line = line.trim();
        let begin = boundary(line, "-----BEGIN ");
        let end = boundary(line, "-----END ");
        match (&mut open, begin, end) {
            (None, Some(label), _) => open = Some((label, Zeroizing::new(String::new()))),
            (Some((label, _)), Some(_), _) => {
                return Err(Error::malformed(
                    "PEM",
                    format!("block `{label}` has no end"),
                ));
            }
            (Some((label, body)), None, Some(end)) => {
                if end != *label {
                    return Err(Error::malformed(
                        "PEM",
                        format!("block `{label}` ends as `{end}`"),
                    ));
                }
                if wanted(label) {
                    blocks.push(Block {
                        label: (*label).to_owned(),
                        der: decode(label, body)?,
                    });
                }
                open = None;
            }
            // RFC 1421 headers (`Proc-Type: 4,ENCRYPTED`) are kept: they make the body undecodable, as they should.
            (Some((_, body)), None, None) => body.push_str(line),
            (None, None, _) => {}
        }
    }
    match open {
        Some((label, _)) => Err(Error::malformed(
            "PEM",
            format!("block `{label}` has no end"),
        )),
        None => Ok(blocks),
    }
}

fn boundary<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

fn decode(label: &str, body: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let body: Zeroizing<Vec<u8>> = Zeroizing::new(
        body.bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    let mut der = Zeroizing::new(vec![0; body.len() / 4 * 3 + 3]);
    let length = Base64::decode(&body[..], &mut der[..])
        .map_err(|_| Error::malformed("PEM", format!("block `{label}` is not base64")))?
        .len();
    der.truncate(length);
    Ok(der)
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
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for length in [1, 47, 48, 49, 95, 96, 200] {
            let der: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let text = encode("THING", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            let blocks = blocks(text.as_bytes()).unwrap();
            assert_eq!(blocks.len(), 1);
            assert_eq!(blocks[0].label, "THING");
            assert_eq!(*blocks[0].der, der);
        }
    }

    #[test]
    fn foreign_habits_are_accepted() {
        let text = "Certificate:\r\n    Data: x\r\n-----BEGIN A-----  \r\nAQID\r\n-----END A-----\r\n\r\n# comment\n-----BEGIN B-----\nAQ\nID\n-----END B-----";
        let blocks = blocks(text.as_bytes()).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(*blocks[0].der, [1, 2, 3]);
        assert_eq!(*blocks[1].der, [1, 2, 3]);
    }

    #[test]
    fn faults_are_named() {
        for (text, problem) in [
            ("-----BEGIN A-----\nAQID\n", "block `A` has no end"),
            (
                "-----BEGIN A-----\nAQID\n-----END B-----\n",
                "block `A` ends as `B`",
            ),
            (
                "-----BEGIN A-----\nA*ID\n-----END A-----\n",
                "block `A` is not base64",
            ),
            (
                "-----BEGIN A-----\n-----BEGIN A-----\nAQID\n-----END A-----\n",
                "block `A` has no end",
            ),
        ] {
            let error = blocks(text.as_bytes()).err().unwrap().to_string();
            assert!(error.contains(problem), "{error}");
        }
        assert!(blocks(b"\xff").is_err());
        assert!(blocks(b"").unwrap().is_empty());
    }
}
