#![no_main]
#![allow(missing_docs)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(request) = caravan_pki::CertificateRequest::from_der(data) else {
        return;
    };
    let _ = request.verify_possession();
    // An empty policy grants nothing.
    assert!(
        caravan_pki::RequestPolicy::server()
            .grant(&request)
            .is_err()
    );
});
