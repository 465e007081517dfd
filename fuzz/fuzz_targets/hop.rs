//! What travels on the private socket: any text is refused, or is the one spelling of what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::model::hop::{HopContext, HopVerdict, decode, encode};

fuzz_target!(|text: &str| {
    if let Some(context) = decode::<HopContext>(text) {
        let again: HopContext = decode(&encode(&context)).expect("our own spelling");
        assert_eq!(encode(&again), encode(&context));
    }
    if let Some(verdict) = decode::<HopVerdict>(text) {
        let again: HopVerdict = decode(&encode(&verdict)).expect("our own spelling");
        assert_eq!(encode(&again), encode(&verdict));
    }
});
