//! A QR code as a picture that a page can show as it is.

use base64::{Engine, engine::general_purpose::STANDARD};
use qrcodegen::{QrCode, QrCodeEcc};

/// Modules left white around the code (ISO/IEC 18004).
const BORDER: i32 = 4;

/// An SVG in a `data:` address; empty when the text is too long for a code, which none of ours is.
pub(super) fn data_uri(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return String::new() };
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg(&code)))
}

fn svg(code: &QrCode) -> String {
    use std::fmt::Write;
    let (size, side) = (code.size(), code.size() + 2 * BORDER);
    let mut path = String::new();
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{},{}h1v1h-1z", x + BORDER, y + BORDER);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><path d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_an_svg_with_a_white_border() {
        let uri = data_uri("otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let picture = uri.strip_prefix("data:image/svg+xml;base64,").unwrap();
        let picture = String::from_utf8(STANDARD.decode(picture).unwrap()).unwrap();
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"));
        // The finder pattern's corner stands right behind the border.
        assert!(picture.contains("M4,4h1v1h-1z") && !picture.contains("M3,"));
        assert_eq!(data_uri(&"x".repeat(10_000)), "");
    }
}
