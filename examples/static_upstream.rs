//! An upstream that answers every request with the same small JSON object, over connections kept alive.
//!
//! `static_upstream --listen 127.0.0.1:PORT`

use std::{convert::Infallible, env, error::Error, net::SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

const BODY: &[u8] =
    br#"{"tasks":[{"id":"1","title":"Mow","description":"the lawn","priority":"low"}],"total":1}"#;

/// One thread: it must leave the machine to what is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip_while(|argument| argument != "--listen");
    let listen: SocketAddr = arguments.nth(1).ok_or("--listen is missing")?.parse()?;
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that goes away in the middle is its own affair.
            let _ = connection.await;
        });
    }
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(BODY)));
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}
