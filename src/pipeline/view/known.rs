//! Fields that every request is judged by, found in one walk: asking the map for each of them by name costs more than
//! everything else about a view.

use http::{HeaderMap, HeaderValue};

/// What stands under one name.
#[derive(Clone, Copy, Debug, Default)]
pub enum Field<'a> {
    /// Nothing.
    #[default]
    Absent,
    /// One value.
    Once(&'a HeaderValue),
    /// Several lines of this name.
    Repeated,
}

impl<'a> Field<'a> {
    /// The value, if it stands once.
    pub fn value(self) -> Option<&'a HeaderValue> {
        match self {
            Field::Once(value) => Some(value),
            Field::Absent | Field::Repeated => None,
        }
    }

    fn add(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Field::Absent => Field::Once(value),
            Field::Once(_) | Field::Repeated => Field::Repeated,
        };
    }
}

/// The fields of one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// `Host`.
    pub host: Field<'a>,
    /// `Authorization`.
    pub authorization: Field<'a>,
    /// `X-API-Key`.
    pub api_key: Field<'a>,
    /// `Content-Type`.
    pub content_type: Field<'a>,
    /// `Content-Length`.
    pub content_length: Field<'a>,
    /// `Transfer-Encoding`.
    pub transfer_encoding: Field<'a>,
    /// `Origin`.
    pub origin: Field<'a>,
    /// `Connection`.
    pub connection: Field<'a>,
    /// `Upgrade`.
    pub upgrade: Field<'a>,
}

impl<'a> Known<'a> {
    /// Finds them.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut known = Self::default();
        for (name, value) in headers {
            let field = match name.as_str() {
                "host" => &mut known.host,
                "authorization" => &mut known.authorization,
                "x-api-key" => &mut known.api_key,
                "content-type" => &mut known.content_type,
                "content-length" => &mut known.content_length,
                "transfer-encoding" => &mut known.transfer_encoding,
                "origin" => &mut known.origin,
                "connection" => &mut known.connection,
                "upgrade" => &mut known.upgrade,
                _ => continue,
            };
            field.add(value);
        }
        known
    }

    /// Whether a body may follow a head of HTTP/1. A length of zero counts as one, which is complete at once.
    pub fn announces_body(&self) -> bool {
        !matches!((self.content_length, self.transfer_encoding), (Field::Absent, Field::Absent))
    }

    /// What `Content-Length` announces; zero without it. A view makes sure that it is a number.
    pub fn announced_length(&self) -> u64 {
        let length = self.content_length.value();
        length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
    }
}
