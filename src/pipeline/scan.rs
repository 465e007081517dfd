//! Looking through bytes in steps that the processor takes at once: heads and tokens are long, and every byte is judged.

/// Bytes looked at together. A fixed number without an early end is what the compiler can turn into wide instructions.
const STEP: usize = 32;
/// The same for what is left, and for the short texts that most names and values are.
const SHORT: usize = 8;

/// Whether every byte is `good`.
pub fn all(bytes: &[u8], good: impl Fn(u8) -> bool) -> bool {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let (shorts, few) = rest.as_chunks::<SHORT>();
    if !steps.iter().all(|step| whole(step, &good)) || !shorts.iter().all(|step| whole(step, &good))
    {
        return false;
    }
    match bytes.last_chunk::<SHORT>() {
        // Some bytes twice, which costs less than a few one by one.
        Some(last) if !few.is_empty() => whole(last, &good),
        _ => few.iter().all(|byte| good(*byte)),
    }
}

fn whole<const N: usize>(step: &[u8; N], good: &impl Fn(u8) -> bool) -> bool {
    step.iter().fold(true, |all, byte| all & good(*byte))
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
