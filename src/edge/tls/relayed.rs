//! The certificate of a client that a proxy in front was shown, as the proxy tells of it.
//!
//! Good for one comparison only: whether a token is bound to it (RFC 8705). The proxy has seen that the client owns its key;
//! whether anybody vouches for the certificate is not told, so it names nobody here.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;

use super::peer;
use crate::model::ClientCertificate;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Reads the field, which must stand exactly once: a certificate in base64, with colons around it (RFC 9440 section 2.1) or
/// without, or as PEM in percent-encoding, which is what nginx writes (`$ssl_client_escaped_cert`).
pub(in crate::edge) fn read(headers: &HeaderMap, name: &HeaderName) -> Option<ClientCertificate> {
    let mut all = headers.get_all(name).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let text = percent_decode(only.as_bytes()).decode_utf8().ok()?;
    let text = text.trim();
    let pem = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let der = if let Some(lines) = pem {
        let line: String = lines.split_ascii_whitespace().collect();
        STANDARD.decode(line).ok()?
    } else {
        let bare = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).unwrap_or(text);
        STANDARD.decode(bare).ok()?
    };
    peer::read(&der)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;
    use crate::model::Digest;

    const NAME: HeaderName = HeaderName::from_static("x-client-cert");

    fn told(values: &[&str]) -> Option<[u8; 32]> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_str(value).unwrap());
        }
        read(&headers, &NAME).map(|found| found.thumbprint)
    }

    #[test]
    fn each_usual_spelling_is_the_same_certificate_and_nothing_else_is_one() {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(vec!["a.test".into()]).unwrap();
        let made = made.self_signed(&key).unwrap();
        let own = Some(*Digest::of(made.der()).as_bytes());
        let bare = STANDARD.encode(made.der());
        let pem = utf8_percent_encode(&made.pem(), NON_ALPHANUMERIC).to_string();
        let structured = format!(":{bare}:");
        for good in [&bare, &structured, &pem, &format!(" {bare} ")] {
            assert_eq!(told(&[good]), own, "{good}");
        }
        let two = utf8_percent_encode(&made.pem().repeat(2), NON_ALPHANUMERIC).to_string();
        let short = STANDARD.encode(&made.der()[..made.der().len() - 1]);
        let open = format!(":{bare}");
        for bad in ["", ":", "::", "-", "AAAA", &two, &short, &open, &bare[4..]] {
            assert_eq!(told(&[bad]), None, "{bad}");
        }
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[&bare, &bare]), None, "it must stand alone");
    }
}
