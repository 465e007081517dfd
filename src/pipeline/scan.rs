//! Looking through bytes in steps that the processor takes at once: heads and tokens are long, and every byte is judged.

/// Bytes looked at together. A fixed number without an early end is what the compiler can turn into wide instructions.
const STEP: usize = 32;

/// Where the first byte stands that `hits`.
pub fn find(bytes: &[u8], hits: impl Fn(u8) -> bool) -> Option<usize> {
    let (steps, _) = bytes.as_chunks::<STEP>();
    let clean = |step: &&[u8; STEP]| !step.iter().fold(false, |any, byte| any | hits(*byte));
    let skipped = steps.iter().take_while(clean).count() * STEP;
    let rest = bytes.get(skipped..).unwrap_or_default();
    rest.iter().position(|byte| hits(*byte)).map(|at| skipped + at)
}

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
    fn a_byte_is_found_wherever_it_stands() {
        for length in 0..100 {
            let clean = vec![b'a'; length];
            assert_eq!(find(&clean, |byte| byte == b'!'), None);
            assert!(all(&clean, |byte| byte == b'a'));
            for at in 0..length {
                let mut bytes = clean.clone();
                bytes[at] = b'!';
                bytes[length - 1] = b'!';
                assert_eq!(find(&bytes, |byte| byte == b'!'), Some(at));
                assert!(!all(&bytes, |byte| byte == b'a'));
            }
        }
    }
}
