#![no_main]
#![allow(missing_docs)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(list) = caravan_pki::RevocationList::parse(data) {
        let _ = list.serials();
        let _ = list.next_update();
    }
});
