//! A second runtime: servers that must never make the data path wait.

use std::future::Future;
use std::io;

use tokio::sync::oneshot;

/// A named thread with a single-threaded runtime of its own.
#[derive(Debug)]
pub struct Thread {
    ended: oneshot::Receiver<()>,
    handle: std::thread::JoinHandle<()>,
}

impl Thread {
    /// Starts a thread that runs the future which `make` makes there. `make` gets what it needs to stop with it.
    ///
    /// # Errors
    /// The system has no more threads or no more descriptors.
    pub fn start<F: Future<Output = ()>>(
        name: &str,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let body = move || {
            let _end = end;
            runtime.block_on(make());
        };
        let handle = std::thread::Builder::new().name(name.into()).spawn(body)?;
        Ok(Self { ended, handle })
    }

    /// Waits until the thread has ended; `false` when it panicked.
    pub async fn join(self) -> bool {
        // The sender is only ever dropped: that is the news.
        self.ended.await.ok();
        self.handle.join().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_is_joined_and_its_panic_is_told() {
        let good = Thread::start("good", || async { tokio::task::yield_now().await }).unwrap();
        assert!(good.join().await);
        let bad = Thread::start("bad", || async { panic!("on purpose") }).unwrap();
        assert!(!bad.join().await);
    }
}
