//! Values of fields on their way into one shared buffer: two allocations for a dozen fields, and copies that cost none.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Fields being written.
pub struct Fields {
    text: String,
    ends: SmallVec<[(HeaderName, usize); 8]>,
}

impl Fields {
    /// None yet, with space for values of so many bytes in all.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: SmallVec::new() }
    }

    /// Adds a field with what `write` adds to the buffer. Nothing makes no field.
    pub fn put(&mut self, name: &HeaderName, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        if self.text.len() > start {
            self.ends.push((name.clone(), self.text.len()));
        }
    }

    /// Hands each field to `take`. A value that is not visible ASCII is left out: the client's own was stripped in any case.
    pub fn each(self, mut take: impl FnMut(HeaderName, HeaderValue)) {
        let plain = self.text.is_ascii();
        let mut text = Bytes::from(self.text);
        let mut start = 0;
        for (name, end) in self.ends {
            // Ends only grow, and the last one is where the text ends.
            let value = text.split_to(end.saturating_sub(start).min(text.len()));
            start = end;
            if !plain && !value.is_ascii() {
                continue;
            }
            // Control bytes are what still can make this fail.
            if let Ok(value) = HeaderValue::from_maybe_shared(value) {
                take(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_gets_its_own_text_and_odd_ones_are_left_out() {
        let (one, two) = (HeaderName::from_static("x-one"), HeaderName::from_static("x-two"));
        let mut fields = Fields::with_capacity(64);
        fields.put(&one, |out| out.push_str("first"));
        fields.put(&two, |_| {});
        fields.put(&two, |out| out.push_str("a\nb"));
        fields.put(&two, |out| out.push('é'));
        fields.put(&two, |out| out.push_str("second"));
        let mut out = Vec::new();
        fields.each(|name, value| out.push((name, value)));
        let value = HeaderValue::from_static;
        assert_eq!(out, [(one, value("first")), (two, value("second"))]);
    }
}
