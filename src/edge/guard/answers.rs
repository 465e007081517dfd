//! Answers to what no hook ever sees.

/// The answer to a head above every limit of [`crate::edge::head`]. Nothing of it was parsed, so there is no mount whose shape it could have.
pub(super) const HEAD_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Content-Type: application/json\r\nContent-Length: 104\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
    {\"error\":\"Request Header Fields Too Large\",\"detail\":\"The request head is too large.\",\"status_code\":431}\n";
/// The same where not even the request line ended.
pub(super) const LINE_TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\n\
    Content-Type: application/json\r\nContent-Length: 84\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
    {\"error\":\"URI Too Long\",\"detail\":\"The request line is too long.\",\"status_code\":414}\n";
/// The answers to what pingora refuses before any hook sees it: it writes them without a body, and tells whose they are.
pub(super) const NOT_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: application/json\r\nContent-Length: 84\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
    {\"error\":\"Bad Request\",\"detail\":\"The request is not valid HTTP.\",\"status_code\":400}\n";
pub(super) const NO_TUNNEL: &[u8] = b"HTTP/1.1 405 Method Not Allowed\r\n\
    Content-Type: application/json\r\nContent-Length: 86\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
    {\"error\":\"Method Not Allowed\",\"detail\":\"This is no forward proxy.\",\"status_code\":405}\n";
