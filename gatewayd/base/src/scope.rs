//! Tasks that are named, joined, and whose panics are caught.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many endings may wait to be read before the tasks that ended wait too.
const ENDINGS: usize = 256;

/// A family of tasks with one stop signal. Every task that ends is reported by [`Scope::ended`].
#[derive(Debug, Clone)]
pub struct Scope {
    name: Arc<str>,
    tracker: TaskTracker,
    stop: CancellationToken,
    tell: mpsc::Sender<Ended>,
}

/// A task that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The task's name.
    pub name: Arc<str>,
    /// How it ended.
    pub how: Ending,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By returning.
    Returned,
    /// By a panic with this message.
    Panicked(Arc<str>),
}

impl Scope {
    /// An empty scope, and where it reports the tasks that ended. `stop` stops it together with its parent.
    #[must_use]
    pub fn new(name: &str, stop: &CancellationToken) -> (Self, mpsc::Receiver<Ended>) {
        let (tell, ended) = mpsc::channel(ENDINGS);
        let tracker = TaskTracker::new();
        (Self { name: name.into(), tracker, stop: stop.child_token(), tell }, ended)
    }

    /// The stop signal that tasks of this scope obey.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a task. A panic in it is caught, logged and reported, and harms nobody else.
    pub fn spawn(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let name: Arc<str> = format!("{}/{name}", self.name).into();
        let tell = self.tell.clone();
        #[expect(clippy::disallowed_methods, reason = "this is the one place that starts tasks")]
        let inner = tokio::spawn(task);
        self.tracker.spawn(async move {
            let how = match inner.await {
                Ok(()) => Ending::Returned,
                Err(error) if error.is_panic() => Ending::Panicked(message(&*error.into_panic())),
                Err(_) => Ending::Returned,
            };
            if let Ending::Panicked(words) = &how {
                tracing::error!(task = %name, "panicked: {words}");
            }
            // Nobody reads endings after the scope's owner has gone; that is no loss.
            tell.send(Ended { name, how }).await.ok();
        });
    }

    /// Runs a blocking call on its own thread and waits for it; `None` when it panicked.
    pub async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that starts threads")]
        let done = tokio::task::spawn_blocking(call);
        self.tracker.track_future(done).await.ok()
    }

    /// Signals all tasks to stop and waits until every one has ended.
    pub async fn join(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

fn message(payload: &(dyn Any + Send)) -> Arc<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_reported_and_harms_nobody() {
        let (scope, mut ended) = Scope::new("test", &CancellationToken::new());
        scope.spawn("bad", async { panic!("on purpose") });
        let end = ended.recv().await.unwrap();
        assert_eq!((&*end.name, end.how), ("test/bad", Ending::Panicked("on purpose".into())));
        scope.spawn("good", async {});
        assert_eq!(ended.recv().await.unwrap().how, Ending::Returned);
    }

    #[tokio::test]
    async fn joining_stops_and_waits() {
        let (scope, _ended) = Scope::new("test", &CancellationToken::new());
        let stop = scope.stop().clone();
        let (done, was_done) = tokio::sync::oneshot::channel();
        scope.spawn("waits", async move {
            stop.cancelled().await;
            done.send(()).unwrap();
        });
        scope.join().await;
        was_done.await.unwrap();
    }
}
