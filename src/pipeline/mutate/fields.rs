//! Values of fields on their way into one shared buffer: a few allocations for a dozen fields, and copies that cost none.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// Fields being written.
pub struct Fields {
    text: String,
    ends: Ends,
}

/// Fields that are written: values by where they end in one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    text: Bytes,
    ends: Ends,
}

type Ends = Vec<(HeaderName, usize)>;

impl Fields {
    /// None yet, with space for values of so many bytes in all.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(8) }
    }

    /// Adds a field with what `write` adds to the buffer. Nothing makes no field.
    pub fn put(&mut self, name: &HeaderName, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        if self.text.len() > start {
            self.ends.push((name.clone(), self.text.len()));
        }
    }

    /// No more of them.
    pub fn written(self) -> Written {
        Written { text: self.text.into(), ends: self.ends }
    }
}

impl Written {
    /// Hands each field to `take`. A value that is not visible ASCII is left out: the client's own was stripped in any case.
    pub fn each(&self, mut take: impl FnMut(&HeaderName, HeaderValue)) {
        let mut start = 0;
        for (name, end) in &self.ends {
            // Ends only grow, and the last one is where the text ends.
            let value = self.text.slice(start..*end);
            start = *end;
            // Control bytes and what is no ASCII make this fail.
            if value.is_ascii()
                && let Ok(value) = HeaderValue::from_maybe_shared(value)
            {
                take(name, value);
            }
        }
    }

    /// How many were written.
    pub fn count(&self) -> usize {
        self.ends.len()
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
        fields.written().each(|name, value| out.push((name.clone(), value)));
        let value = HeaderValue::from_static;
        assert_eq!(out, [(one, value("first")), (two, value("second"))]);
    }
}
