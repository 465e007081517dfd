//! Fields that frame a message or speak about the connection (RFC 9112 sections 6 and 7, RFC 9110 section 7.6.1).

use http::header;

use super::{Field, Known, RequestView};
use crate::pipeline::{
    deny::Malformed,
    mutate::IdentityHeaders,
    reserved::{fold, is_reserved},
};

/// One message length or a refusal: no length beside a coding, one plain length, no coding but `chunked`.
pub(super) fn check_length(known: &Known<'_>) -> Result<(), Malformed> {
    let fits = match (known.content_length, known.transfer_encoding) {
        (Field::Absent, Field::Absent) => true,
        (Field::Once(length), Field::Absent) => {
            let digits = length.as_bytes();
            (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        (Field::Absent, Field::Once(coding)) => coding.as_bytes() == b"chunked",
        _ => false,
    };
    if fits { Ok(()) } else { Err(Malformed::Framing) }
}

/// A client may not name fields in `Connection` that are not its own to remove (CVE-2025-48865 and kin).
pub(super) fn check_connection(view: &RequestView<'_>) -> Result<(), Malformed> {
    check_options(view, |name| {
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
    view: &RequestView<'_>,
    names: &IdentityHeaders,
) -> Result<(), Malformed> {
    check_options(view, |name| names.covers(name))
}

fn check_options(view: &RequestView<'_>, is_ours: impl Fn(&str) -> bool) -> Result<(), Malformed> {
    if matches!(view.known.connection, Field::Absent) {
        return Ok(());
    }
    for value in view.headers.get_all(header::CONNECTION) {
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
