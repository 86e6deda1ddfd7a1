#![no_main]
#![allow(missing_docs)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(certificate) = caravan_pki::Certificate::from_der(data) else {
        return;
    };
    assert_eq!(certificate.as_der(), data);
    let now = std::time::UNIX_EPOCH;
    let _ = caravan_pki::inspect::Inspection::of(&certificate, now).to_json();
    let _ = caravan_pki::lint::certificates(&[certificate.clone()], now);
    let _ = caravan_pki::Leaf::from_certificate(&certificate);
    let _ = certificate.is_signed_by(&certificate);
});
