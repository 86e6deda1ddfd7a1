#![no_main]
#![allow(missing_docs)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    use caravan_pki::cfssl::{Request, SigningConfig};
    let request = Request::from_json(data);
    if let Ok(request) = &request {
        let _ = request.authority();
    }
    if let (Ok(config), Ok(request)) = (SigningConfig::from_json(data), request) {
        let profiles: Vec<String> = config.profiles().map(str::to_owned).collect();
        for profile in profiles {
            let _ = config.leaf(&profile, &request);
            let _ = config.authority(&profile, &request);
        }
    }
});
