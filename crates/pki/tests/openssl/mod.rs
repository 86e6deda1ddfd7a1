//! How OpenSSL is asked: the same by every test that asks it.

/// The arguments of one verification of the file `sent` (the leaf, then what is sent along) below the file `trusted` and
/// nothing else of this computer, with `more` of them before the file.
pub(crate) fn verify<'a>(trusted: &'a str, sent: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["verify", "-no-CApath", "-no-CAstore", "-CAfile", trusted];
    args.extend(more);
    args.push(sent);
    args
}

/// As [`verify`], in the strict mode.
pub(crate) fn strict<'a>(trusted: &'a str, sent: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    verify(
        trusted,
        sent,
        &[&["-x509_strict", "-check_ss_sig"], more].concat(),
    )
}
