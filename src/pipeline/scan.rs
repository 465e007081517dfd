//! Looking through bytes in steps that the processor takes at once: heads and tokens are long, and every byte is judged.

/// Bytes looked at together. A fixed number without an early end is what the compiler can turn into wide instructions.
const STEP: usize = 32;

/// Whether every byte is `good`.
pub fn all(bytes: &[u8], good: impl Fn(u8) -> bool) -> bool {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    steps.iter().all(|step| step.iter().fold(true, |all, byte| all & good(*byte)))
        && rest.iter().all(|byte| good(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_seen_wherever_it_stands() {
        for length in 0..100 {
            let clean = vec![b'a'; length];
            assert!(all(&clean, |byte| byte == b'a'));
            for at in 0..length {
                let mut bytes = clean.clone();
                bytes[at] = b'!';
                assert!(!all(&bytes, |byte| byte == b'a'));
            }
        }
    }
}
