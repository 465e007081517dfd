use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::*;

/// What is read of these bytes, and what is left on the socket. The bytes come in pieces of `step`.
async fn played(bytes: &[u8], step: usize) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    sender.set_nodelay(true).unwrap();
    let (mut tcp, _) = listener.accept().await.unwrap();
    let bytes = bytes.to_vec();
    let sending = tokio::spawn(async move {
        for piece in bytes.chunks(step) {
            let _ = sender.write_all(piece).await;
            tokio::task::yield_now().await;
        }
    });
    let found = client(&mut tcp).await;
    sending.await.unwrap();
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest).await;
    (found, rest)
}

fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, body].concat()
}

const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];

#[tokio::test]
async fn both_versions_are_read_and_nothing_behind_them() {
    let v6 = [&[0x20; 16][..], &[0x21; 16], &[0x30, 0x39, 0, 80]].concat();
    let v6_text = "[2020:2020:2020:2020:2020:2020:2020:2020]:12345";
    let with_more = [&V4[..], &[4, 0, 3, 1, 2, 3]].concat();
    let line = |text: &str| format!("{text}\r\n").into_bytes();
    for (header, expected) in [
        (line("PROXY TCP4 203.0.113.7 10.0.0.1 12345 80"), Some("203.0.113.7:12345")),
        (line("PROXY TCP6 2001:db8::7 2001:db8::1 12345 80"), Some("[2001:db8::7]:12345")),
        (line("PROXY TCP6 ::ffff:203.0.113.7 ::1 12345 80"), Some("203.0.113.7:12345")),
        (line("PROXY UNKNOWN"), None),
        (line("PROXY UNKNOWN whatever it says"), None),
        (version_2(0x21, 0x11, &V4), Some("203.0.113.7:12345")),
        (version_2(0x21, 0x11, &with_more), Some("203.0.113.7:12345")),
        (version_2(0x21, 0x21, &v6), Some(v6_text)),
        (version_2(0x20, 0x00, b""), None),
        (version_2(0x20, 0x11, &V4), None),
        (version_2(0x21, 0x00, b""), None),
    ] {
        let all = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
        for step in [1, 7, all.len()] {
            let (found, rest) = played(&all, step).await;
            let found = found.unwrap().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{header:?}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n\r\n", "{header:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused() {
    let long = [b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 80".to_vec(), vec![b' '; 200]].concat();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(),
        b"PROXY TCP4 203.0.113.7\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.999 10.0.0.1 12345 80\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 10.0.0.1 123456 80\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 10.0.0.1 +12345 80\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 +80\r\n".to_vec(),
        b"PROXY \r\n\r\nPROXY TCP4 203.0.113.7 10.0.0.1 12345 80\r\n".to_vec(),
        b"PROXY UDP4 203.0.113.7 10.0.0.1 12345 80\r\n".to_vec(),
        b"PROXY_TCP4 203.0.113.7 10.0.0.1 12345 80\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 10.0.0.1 12345".to_vec(),
        b"PROX".to_vec(),
        long,
        version_2(0x31, 0x11, &V4),
        version_2(0x22, 0x11, &V4),
        version_2(0x21, 0x12, &V4),
        version_2(0x21, 0x11, &V4[..11]),
        version_2(0x21, 0x77, &V4),
        version_2(0x21, 0x11, &[0; 5000]),
        version_2(0x21, 0x11, &V4)[..20].to_vec(),
    ] {
        let (found, _) = played(&bytes, bytes.len()).await;
        assert!(found.is_err(), "{:?}: {found:?}", String::from_utf8_lossy(&bytes));
    }
}
