//! The responder from the outside, byte by byte.

#![cfg(test)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::CancellationToken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::http::{Answer, Http, HttpError};

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn handler(path: &str) -> Option<Answer> {
    let answer =
        |status, body: &str| Answer { status, content_type: "text/plain", body: body.into() };
    match path {
        "/healthz" => Some(answer(200, "ok\n")),
        "/broken" => Some(answer(503, "store: full\n")),
        "/panic" => panic!("on purpose"),
        _ => None,
    }
}

/// What the responder says to these bytes.
async fn ask(to: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // A responder that has had enough closes before it has read all.
    stream.write_all(request).await.ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().ok();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn it_answers_get_and_head_and_survives_the_rest() {
    let http = Http::bind(SocketAddr::from(LOOPBACK)).await.unwrap();
    let to = http.address();
    let stop = CancellationToken::new();
    let clients = async {
        let get =
            |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = ask(to, get("/healthz?verbose=1").as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"),
            "{answer}"
        );
        assert!(answer.contains("content-type: text/plain\r\n"), "{answer}");
        assert!(ask(to, get("/broken").as_bytes()).await.starts_with("HTTP/1.1 503 "));
        assert!(ask(to, get("/nowhere").as_bytes()).await.starts_with("HTTP/1.1 404 "));
        assert_eq!(ask(to, get("/panic").as_bytes()).await, "", "a panic ends its connection only");
        let head = get("/healthz").replace("GET", "HEAD");
        let answer = ask(to, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
        let post =
            "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answer = ask(to, post.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"),
            "{answer}"
        );
        assert!(ask(to, b"\x16\x03\x01 no http\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
        let answer = ask(to, long.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        let idle: Vec<_> = {
            let mut idle = Vec::new();
            for _ in 0..15 {
                idle.push(TcpStream::connect(to).await.unwrap());
            }
            idle
        };
        assert!(ask(to, get("/healthz").as_bytes()).await.ends_with("ok\n"));
        drop(idle);
        stop.cancel();
    };
    tokio::join!(http.serve(stop.clone(), Arc::new(handler)), clients);
    assert!(TcpStream::connect(to).await.is_err(), "stopped means gone");
}

#[tokio::test]
async fn it_listens_on_the_loopback_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = Http::bind(address.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, HttpError::NotLoopback(_)), "{error}");
    }
    let taken = Http::bind(SocketAddr::from(LOOPBACK)).await.unwrap();
    let error = Http::bind(taken.address()).await.unwrap_err();
    assert!(matches!(error, HttpError::Bind { .. }), "{error}");
}
