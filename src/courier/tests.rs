//! The courier against a real receiver on loopback.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Mutex,
};

use super::*;

/// Answers every connection with this, and keeps what was sent.
async fn receiver(answer: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keeps = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = vec![0; 64 * 1024];
            let mut length = 0;
            while !String::from_utf8_lossy(&text[..length]).ends_with("{\"a\":1}") {
                match stream.read(&mut text[length..]).await {
                    Ok(0) | Err(_) => break,
                    Ok(more) => length += more,
                }
            }
            keeps.lock().await.push(String::from_utf8_lossy(&text[..length]).into_owned());
            if answer.is_empty() {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, seen)
}

fn letter(url: String, allow_private: bool) -> Letter {
    Letter {
        url,
        headers: vec![("X-Archon-Signature".into(), "sha256=00".into())],
        body: b"{\"a\":1}".to_vec(),
        timeout: Duration::from_secs(20),
        allow_private,
    }
}

fn courier() -> Courier {
    crate::pipeline::jwt::install_crypto_provider();
    Courier::new().unwrap()
}

#[tokio::test]
async fn a_letter_arrives_with_its_fields_and_its_very_bytes() {
    let (port, seen) = receiver("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
    let sent = courier().post(&letter(format!("http://127.0.0.1:{port}/hook?a=b"), true)).await;
    assert_eq!(sent, Ok(204));
    let seen = seen.lock().await;
    let text = seen.first().unwrap();
    assert!(text.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{text}");
    assert!(text.to_ascii_lowercase().contains("x-archon-signature: sha256=00"), "{text}");
    assert!(text.ends_with("\r\n\r\n{\"a\":1}"), "{text}");
}

#[tokio::test]
async fn redirects_are_answers_and_never_followed() {
    let (target, seen) = receiver("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:{target}/\r\nContent-Length: 0\r\n\r\n"
    );
    let (port, _) = receiver(Box::leak(answer.into_boxed_str())).await;
    let sent = courier().post(&letter(format!("http://127.0.0.1:{port}/"), true)).await;
    assert_eq!(sent, Ok(307));
    assert!(seen.lock().await.is_empty());
}

#[tokio::test]
async fn own_networks_are_out_of_reach_however_they_are_written() {
    let (port, seen) = receiver("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let courier = courier();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://0x7f000001:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://localhost:{port}/"),
        "nonsense".to_owned(),
    ] {
        let sent = courier.post(&letter(url.clone(), false)).await;
        assert_eq!(sent, Err(CarryFault::Forbidden), "{url}");
    }
    assert!(seen.lock().await.is_empty());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_forbidden_after_it_was_resolved() {
    let resolver = Resolver { private: false };
    let refused = resolver.resolve("localhost".parse().unwrap()).await;
    assert!(refused.is_err_and(|error| error.is::<NotPublic>()));
    let open = Resolver { private: true }.resolve("localhost".parse().unwrap()).await;
    assert!(open.is_ok_and(|mut found| found.next().is_some()));
}

#[tokio::test]
async fn silence_and_closed_doors_are_told_apart() {
    let (port, _) = receiver("").await;
    let slow = Letter {
        timeout: Duration::from_millis(50),
        ..letter(format!("http://127.0.0.1:{port}/"), true)
    };
    assert_eq!(courier().post(&slow).await, Err(CarryFault::Timeout));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let sent = courier().post(&letter(format!("http://127.0.0.1:{port}/"), true)).await;
    assert_eq!(sent, Err(CarryFault::Unreachable));
}
