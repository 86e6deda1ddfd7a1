#![no_main]
#![allow(missing_docs)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = caravan_pki::inspect::read(data);
    let _ = caravan_pki::Certificate::all_from_pem(data);
    let _ = caravan_pki::PublicKey::from_pem(data);
    if let Ok(key) = caravan_pki::PrivateKey::from_pem(data) {
        let again = caravan_pki::PrivateKey::from_pem(key.to_pkcs8_pem().as_bytes()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
    }
});
