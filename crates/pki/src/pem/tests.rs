use super::*;

fn all(text: &[u8]) -> Result<Vec<Block>, Error> {
    blocks(text, |_| true)
}

fn problem(text: &[u8]) -> String {
    all(text)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn round_trip() {
    for length in [1, 47, 48, 49, 95, 96, 200] {
        let der: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        let text = encode("PUBLIC KEY", &der);
        assert!(text.lines().all(|line| line.len() <= 64));
        let blocks = all(text.as_bytes()).unwrap();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].label, Label::of(b"PUBLIC KEY"));
        assert_eq!(*blocks[0].der, der);
    }
}

/// What OpenSSL 3 reads; each line was tried with it.
#[test]
fn foreign_habits_are_accepted() {
    for text in [
        &b"Certificate:\r\n    Data: x\r\n-----BEGIN CMS-----  \r\nAQID\r\n-----END CMS-----\r\n"[..],
        b"-----BEGIN CMS-----\nAQ\nID\n-----END CMS-----",
        b"-----BEGIN CMS-----\n  AQ\t\n ID\n-----END CMS-----\xa0\n",
        b"-----BEGIN CMS-----\n\nAQID\n-----END CMS-----\n",
        b"\xef\xbb\xbf-----BEGIN CMS-----\nAQID\n-----END CMS-----\n",
        b"\xe9\xff\n\x00\x01\n-----BEGIN CMS-----\nAQID\n-----END CMS-----\n\xc5\x91\n",
        b"0 s:CN = x\n-----BEGIN CMS-----\nAQID\n-----END CMS-----\n",
    ] {
        let blocks = all(text).unwrap_or_else(|error| panic!("{}: {error}", text.escape_ascii()));
        assert_eq!(blocks.len(), 1);
        assert_eq!(*blocks[0].der, [1, 2, 3]);
    }
    let glued = b"-----BEGIN CMS-----\nAQID\n-----END CMS-----\n\xef\xbb\xbf-----BEGIN CMS-----\nBA==\n-----END CMS-----\n";
    assert_eq!(*all(glued).unwrap()[1].der, [4]);
    // The last bits of the last character mean nothing.
    let loose = b"-----BEGIN CMS-----\nBB==\n-----END CMS-----\n";
    assert_eq!(*all(loose).unwrap()[0].der, [4]);
    // A sentence, and a comment.
    let said = b"put -----BEGIN CMS----- here\n# -----BEGIN CMS-----\n# AQIDAQIDAQIDAQIDAQID\n# -----END CMS-----\n";
    assert!(all(said).unwrap().is_empty());
    assert!(all(b"").unwrap().is_empty());
}

#[test]
fn faults_are_named() {
    let base64 = "MIGHAgEAMBMGByqGSM49AgEG";
    for (text, expected) in [
        ("-----BEGIN CMS-----\nB\n".to_owned(), "line 1 (`CMS`) has no end"),
        ("-----BEGIN CMS-----\nB\n-----END PKCS7-----\n".to_owned(), "ends as another (`PKCS7`)"),
        ("-----BEGIN CMS-----\nA*ID\n-----END CMS-----\n".to_owned(), "is not base64"),
        ("\n-----BEGIN CMS-----\n-----BEGIN CMS-----\n".to_owned(), "line 2 (`CMS`) has no end"),
        ("-----BEGIN CMS-----\nAQID\n\nAQID\n-----END CMS-----\n".to_owned(), "an empty line"),
        ("-----BEGIN CMS-----\nA: b\n\nAQID\n-----END CMS-----\n".to_owned(), "has header lines"),
        ("-----BEGIN CMS-----\nAQID\n -----END CMS-----\n".to_owned(), "indentation"),
        ("-----BEGIN CMS-----\nAQID\n-----END CMS----------BEGIN CMS-----\nAQID\n-----END CMS-----\n".to_owned(), "are one line"),
        (format!(" -----BEGIN CMS-----\n {base64}\n -----END CMS-----\n"), "is indented"),
        (format!("> -----BEGIN CMS-----\n> {base64}\n"), "other text stands before"),
        (format!("----BEGIN CMS-----\n{base64}\n-----END CMS-----\n"), "five hyphens"),
        (format!("\u{2014}BEGIN CMS\u{2014}\n{base64}\n"), "five hyphens"),
        (format!("-----BEGIN cms-----\n{base64}\n-----END cms-----\n"), ""),
        (format!("----BEGIN cms-----\n{base64}\n"), "not in capital letters"),
        (format!("-----BEGIN CMS-----\\n{base64}\\n-----END CMS-----\\n"), "written out"),
        (format!("\"-----BEGIN CMS-----\\r\\n{base64}\\r\\n-----END CMS-----\""), "written out"),
        (format!("-----BEGIN CMS-----\r{base64}\r-----END CMS-----\r"), "CR alone"),
        (format!("-----BEGIN CMS-----{base64}-----END CMS-----"), "no line ends"),
        (format!("-----\nBEGIN CMS-----{base64}\n-----END CMS-----"), "no line ends"),
        (format!("{base64}\n-----END CMS-----"), "has no `BEGIN` line"),
    ] {
        let found = problem(text.as_bytes());
        assert!(found.contains(expected), "{text}: {found}");
        assert!(!found.contains(base64), "{found}");
    }
}

#[test]
fn wide_text_is_named_wherever_it_is() {
    let narrow = "-----BEGIN CMS-----\nAQID\n-----END CMS-----\n";
    let little: Vec<u8> = narrow.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = narrow.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let widest: Vec<u8> = narrow
        .chars()
        .flat_map(|letter| u32::from(letter).to_le_bytes())
        .collect();
    for (wide, name) in [(little, "UTF-16"), (big, "UTF-16"), (widest, "UTF-32")] {
        for before in [&b""[..], b"\xff\xfe", narrow.as_bytes()] {
            let found = problem(&[before, &wide].concat());
            assert!(found.contains(name), "{found}");
        }
    }
}
