//! What makes text that was meant as PEM no PEM, and what mends it.

use crate::Error;

/// A fault of the armour. Its descriptions are fixed text: nothing of the file is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    CarriageReturns,
    Case,
    Der,
    Escaped,
    Hyphens,
    Indented,
    Joined,
    OneLine,
    Prefixed,
    StrayEnd,
    Utf16,
    Utf32,
}

impl Fault {
    fn form(self) -> &'static str {
        match self {
            Self::CarriageReturns => {
                "it has no line ends: its lines end in CR alone, where LF or CR LF is expected"
            }
            Self::Case => "the label of a block is not in capital letters",
            Self::Der => "a certificate in DER stands among PEM blocks",
            Self::Escaped => "it has no line ends: they are written out as `\\n`",
            Self::Hyphens => "a `BEGIN` line has not five hyphens on both sides",
            Self::Indented => "a `BEGIN` line is indented",
            Self::Joined => "an `END` line and the `BEGIN` line after it are one line",
            Self::OneLine => "it has no line ends: the base64 is on the line of `BEGIN`",
            Self::Prefixed => "other text stands before a `BEGIN` on its line",
            Self::StrayEnd => "an `END` line has no `BEGIN` line",
            Self::Utf16 => "it is UTF-16 text, where UTF-8 or ASCII is expected",
            Self::Utf32 => "it is UTF-32 text, where UTF-8 or ASCII is expected",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::CarriageReturns => "tr '\\r' '\\n' < FILE > FILE.new",
            Self::Case => {
                "write the labels as OpenSSL does, for example `-----BEGIN CERTIFICATE-----`"
            }
            Self::Der => {
                "keep the one in DER in a file of its own, or turn it into PEM: openssl x509 -inform DER -in DER.crt"
            }
            Self::Escaped => "sed 's/\\\\r//g; s/\\\\n/\\n/g' FILE > FILE.new",
            Self::Hyphens => {
                "write five hyphens (ASCII) on both sides, for example `-----BEGIN CERTIFICATE-----`"
            }
            Self::Indented => "sed 's/^[[:space:]]*//' FILE > FILE.new",
            Self::Joined => "sed 's/----------BEGIN/-----\\n-----BEGIN/' FILE > FILE.new",
            Self::OneLine => {
                "give the `BEGIN` line, the base64 and the `END` line lines of their own"
            }
            Self::Prefixed => {
                "take the block out into a file of its own, each line of it from its start"
            }
            Self::StrayEnd => "put the `BEGIN` line back, or remove what is left of the block",
            Self::Utf16 => "iconv -f UTF-16 -t UTF-8 FILE > FILE.new",
            Self::Utf32 => "iconv -f UTF-32 -t UTF-8 FILE > FILE.new",
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::unreadable("PEM", fault.form(), fault.remedy())
    }
}
