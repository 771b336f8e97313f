//! Makes a store with a backlog for the bench: `backlog DIR GATEWAY LINK SECONDS`; the link has delivered nothing of it.
//!
//! Ends with its size as JSON on the standard output.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program")]

#[path = "../tests/backlog/store.rs"]
mod store;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, gateway, link, seconds] = &arguments[..] else { panic!("see the file's head") };
    let seconds: u64 = seconds.parse().unwrap();
    let now = base::Clock::system().utc().unwrap().unsigned_abs() / 1_000_000;
    let begin = i64::try_from((now - seconds) * 1_000_000).unwrap();
    let cut = store::Cut { link: link.clone(), second: 0 };
    let made = store::make(dir.as_ref(), gateway, begin, seconds, &[cut]).await;
    let values = seconds * store::TWINS * u64::from(store::POINTS);
    println!("{{\"bytes\": {}, \"commits\": {}, \"values\": {values}}}", made.bytes, made.commits);
}
