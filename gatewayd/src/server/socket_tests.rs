//! Callers that are right, wrong, greedy and slow.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

struct Echo;

impl Answers for Echo {
    async fn answer(
        &self,
        by: &Principal,
        request: Request,
        replies: &mut Replies,
    ) -> io::Result<()> {
        if matches!(request, Request::Watch { .. }) {
            // As much as a slow caller never reads.
            for _ in 0..10_000 {
                let words = "x".repeat(1_000);
                replies.send(Answer::Error(Failure::new(Code::Other, words))).await?;
            }
        }
        replies.send(Answer::Error(Failure::new(Code::Other, by.to_string()))).await
    }
}

async fn served() -> (tempfile::TempDir, PathBuf, Scope) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/control.sock");
    let socket = Socket::bind(&path, None).unwrap();
    let (scope, _) = Scope::new("test", &CancellationToken::new());
    scope.spawn("socket", socket.serve(Arc::new(Echo), scope.stop().clone()));
    (dir, path, scope)
}

async fn told(stream: UnixStream, lines: &[u8]) -> Vec<String> {
    let (read, mut write) = stream.into_split();
    write.write_all(lines).await.unwrap();
    drop(write);
    let mut lines = BufReader::new(read).lines();
    let mut all = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        all.push(line);
    }
    all
}

#[test]
fn only_what_an_earlier_daemon_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    fs::write(&path, "somebody's notes").unwrap();
    let refused = Socket::bind(&path, None).unwrap_err();
    assert!(refused.to_string().contains("is no socket and is not removed"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's notes");
    fs::remove_file(&path).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(Socket::bind(&path, None).is_ok(), "a socket that nobody listens at");
}

#[tokio::test]
async fn each_line_gets_its_answer_and_a_bad_one_harms_no_other() {
    let (_dir, path, scope) = served().await;
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let stream = UnixStream::connect(&path).await.unwrap();
    let answers = told(
        stream,
        b"{\"v\":1,\"do\":\"version\"}\nnonsense\n{\"v\":2,\"do\":\"x\"}\n{\"v\":1,\"do\":\"status\"}\n",
    )
    .await;
    assert_eq!(answers.len(), 4, "{answers:?}");
    assert!(answers[0].contains("user:"), "{}", answers[0]);
    assert!(answers[1].contains("bad-request"), "{}", answers[1]);
    assert!(answers[2].contains("\"version\""), "{}", answers[2]);
    assert!(answers[3].contains("user:"), "{}", answers[3]);
    scope.join().await;
    assert!(!path.exists(), "the socket goes with its daemon");
}

#[tokio::test]
async fn a_request_without_end_is_refused() {
    let (_dir, path, scope) = served().await;
    let stream = UnixStream::connect(&path).await.unwrap();
    let answers = told(stream, &vec![b'x'; LONGEST_REQUEST + 7]).await;
    assert_eq!(answers.len(), 1);
    assert!(answers[0].contains("at most"), "{}", answers[0]);
    scope.join().await;
}

#[tokio::test]
async fn a_caller_that_never_reads_delays_nobody() {
    let (_dir, path, scope) = served().await;
    let mut slow = UnixStream::connect(&path).await.unwrap();
    slow.write_all(b"{\"v\":1,\"do\":\"watch\"}\n").await.unwrap();
    let other = UnixStream::connect(&path).await.unwrap();
    let answer = tokio::time::timeout(
        Duration::from_secs(2),
        told(other, b"{\"v\":1,\"do\":\"version\"}\n"),
    );
    assert_eq!(answer.await.unwrap().len(), 1);
    let joined = tokio::time::timeout(Duration::from_secs(2), scope.join());
    assert!(joined.await.is_ok(), "stopping does not wait for it either");
}

#[tokio::test]
async fn a_second_daemon_is_told_so_and_a_stale_socket_is_taken_over() {
    let (_dir, path, scope) = served().await;
    assert!(matches!(Socket::bind(&path, None), Err(SocketError::Taken(_))));
    scope.join().await;
    std::os::unix::net::UnixListener::bind(&path).unwrap();
    let again = Socket::bind(&path, None);
    assert!(again.is_ok(), "{again:?}");
    let error = Socket::bind(&path.with_extension("x"), Some("no-such-group-here")).unwrap_err();
    assert!(error.to_string().contains("groupadd"), "{error}");
}
