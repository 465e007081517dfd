//! Fields that frame a message or speak about the connection (RFC 9112 sections 6 and 7, RFC 9110 section 7.6.1).

use http::{HeaderMap, header};

use crate::pipeline::{
    deny::Malformed,
    mutate::IdentityHeaders,
    reserved::{fold, is_reserved},
};

/// One message length or a refusal: no length beside a coding, one plain length, no coding but `chunked`.
pub(super) fn check_length(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    let ambiguous = (length.is_some() && coding.is_some())
        || lengths.next().is_some()
        || codings.next().is_some();
    let bad_length = length.is_some_and(|value| {
        let digits = value.as_bytes();
        digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit)
    });
    let bad_coding = coding.is_some_and(|value| value.as_bytes() != b"chunked");
    if ambiguous || bad_length || bad_coding { Err(Malformed::Framing) } else { Ok(()) }
}

/// A client may not name fields in `Connection` that are not its own to remove (CVE-2025-48865 and kin).
pub(super) fn check_connection(headers: &HeaderMap) -> Result<(), Malformed> {
    check_options(headers, |name| {
        is_reserved(name)
            || matches!(
                name,
                "x-api-key"
                    | "authorization"
                    | "host"
                    | "cookie"
                    | "content-length"
                    | "content-type"
                    | "transfer-encoding"
            )
    })
}

/// Nor those that carry identity under names of the operator's choice.
pub(super) fn check_identity(
    headers: &HeaderMap,
    names: &IdentityHeaders,
) -> Result<(), Malformed> {
    check_options(headers, |name| names.covers(name))
}

fn check_options(headers: &HeaderMap, is_ours: impl Fn(&str) -> bool) -> Result<(), Malformed> {
    for value in headers.get_all(header::CONNECTION) {
        let text = value.to_str().map_err(|_| Malformed::Connection)?;
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let close_or_keep = ["close", "keep-alive", "upgrade"];
            if close_or_keep.iter().any(|known| option.eq_ignore_ascii_case(known)) {
                continue;
            }
            if is_ours(&fold(&option.to_ascii_lowercase())) {
                return Err(Malformed::Connection);
            }
        }
    }
    Ok(())
}
