//! Both ends of a line: the daemon's handle and what the line's task holds.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use twin::{
    Change, CommandId, CommandOrder, Origin, Outcome, Reason, Reported, Step, Submission, TwinId,
    What,
};

use crate::{Ask, Asked, Context, Inspection, LineStatus, NotRead, Raw, ReadNow, Request, Tapped};

/// How many requests may wait for a line.
const WAITING: usize = 32;
/// How many pieces of a tapped line may wait for their receiver.
const TAPPED: usize = 1024;

/// The two ends of a new line, and the way to configure it.
#[must_use]
pub fn line<D>(name: &str, context: &Context) -> (LineHandle, Devices<D>, LineEnd<D>) {
    let name: Arc<str> = name.into();
    let (requests, asked) = mpsc::channel(WAITING);
    let (configure, devices) = watch::channel(Vec::new().into());
    let (tell, status) = watch::channel(LineStatus::starting(name.clone(), context.now()));
    let submissions = context.submissions.clone();
    let handle = LineHandle { name: name.clone(), requests, status, submissions };
    (handle, Devices(configure), LineEnd { name, requests: asked, devices, status: tell })
}

/// The daemon's end of a line, whatever protocol it speaks.
#[derive(Debug, Clone)]
pub struct LineHandle {
    name: Arc<str>,
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<LineStatus>,
    submissions: mpsc::Sender<Submission>,
}

/// Configures the devices of a line. The latest configuration wins; unchanged devices do not notice.
#[derive(Debug)]
pub struct Devices<D>(watch::Sender<Arc<[D]>>);

/// What the line's task holds.
#[derive(Debug)]
pub struct LineEnd<D> {
    /// The line's name.
    pub name: Arc<str>,
    /// What is asked.
    pub requests: mpsc::Receiver<Request>,
    /// The devices on the line.
    pub devices: watch::Receiver<Arc<[D]>>,
    /// Tells how the line is doing.
    pub status: watch::Sender<LineStatus>,
}

impl<D> Devices<D> {
    /// From now on these devices are on the line. Takes effect between two transactions.
    pub fn configure(&self, devices: Vec<D>) {
        self.0.send_replace(devices.into());
    }
}

impl LineHandle {
    /// The line's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How the line is doing.
    #[must_use]
    pub fn status(&self) -> &watch::Receiver<LineStatus> {
        &self.status
    }

    /// Gives the line a command to carry out. A line that is full or gone rejects it at once.
    pub async fn order(&self, order: CommandOrder) {
        let (twin, id) = (order.twin.clone(), order.id);
        if let Err(refusal) = self.ask(Request::Order(order)) {
            let NotRead { reason, words, .. } = refusal;
            let outcome = Outcome::Rejected(reason, words);
            // The writer is gone only while the daemon stops; the command then ends at the next start.
            self.submissions.send(ended(twin, id, outcome)).await.ok();
        }
    }

    /// Reads points of a twin now; no points = all that can be read.
    ///
    /// # Errors
    /// Why nothing was read.
    pub async fn read(&self, twin: TwinId, points: Vec<u16>) -> Result<Vec<Reported>, NotRead> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::ReadNow(ReadNow { twin, points, command: None, answer }))?;
        answered.await.unwrap_or_else(|_| Err(self.down()))
    }

    /// Sends a request in the protocol's own words, which only reads, and returns the data of the answer.
    ///
    /// # Errors
    /// Why nothing was read: [`Reason::Refused`] where the asset says no, [`Reason::Busy`] where it only asks for patience.
    pub async fn raw(&self, twin: TwinId, request: Vec<u8>) -> Result<Vec<u8>, NotRead> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Raw(Raw { twin, request, answer }))?;
        answered.await.unwrap_or_else(|_| Err(self.down()))
    }

    /// This twin's asset, which was silent, is the one that it was, with the same points: it is polled again.
    ///
    /// # Errors
    /// The line is full or gone; nothing has changed.
    pub fn proven(&self, twin: TwinId) -> Result<(), NotRead> {
        self.ask(Request::Proven(twin))
    }

    /// Everything that explains a point; `None` where the line does not know the twin or is gone.
    pub async fn inspect(&self, twin: TwinId, index: Option<u16>) -> Option<Inspection> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Inspect { twin, index, answer }).ok()?;
        answered.await.ok()
    }

    /// Asks a device something in the protocol's own bytes that changes nothing.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn asked(
        &self,
        address: u8,
        request: Vec<u8>,
        timeout: i64,
    ) -> Result<Asked, NotRead> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Ask(Ask { address, request, timeout, answer }))?;
        answered.await.unwrap_or_else(|_| Err(self.down()))
    }

    /// The bytes that go over the line from now on. A receiver that is slow loses some, and is told how many.
    ///
    /// # Errors
    /// The line is not running.
    pub fn tap(&self) -> Result<mpsc::Receiver<Tapped>, NotRead> {
        let (frames, tapped) = mpsc::channel(TAPPED);
        self.ask(Request::Tap(frames))?;
        Ok(tapped)
    }

    fn ask(&self, request: Request) -> Result<(), NotRead> {
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotRead {
                reason: Reason::Busy,
                words: format!("line {} has {WAITING} requests waiting already", self.name).into(),
                code: None,
            },
            mpsc::error::TrySendError::Closed(_) => self.down(),
        })
    }

    fn down(&self) -> NotRead {
        NotRead {
            reason: Reason::LineDown,
            words: format!("line {} is not running; `gatewayctl lines` says why", self.name).into(),
            code: None,
        }
    }
}

/// The last step of a command.
pub(crate) fn ended(twin: TwinId, command: CommandId, outcome: Outcome) -> Submission {
    let what = What::Step { command, step: Step::Ended(outcome) };
    Submission::change(Change { twin, origin: Origin::Asset, what })
}

#[cfg(test)]
mod tests {
    use base::{CancellationToken, Clock};
    use twin::{BootId, Boottime, Deadline, Input, Moment, Order, Value};

    use super::*;

    fn order(id: u64) -> CommandOrder {
        let now = Moment { boottime: Boottime(0), boot: BootId([0; 16]), utc: None };
        CommandOrder {
            id: CommandId(id),
            by: Origin::Configuration.principal(),
            twin: "pump".parse().unwrap(),
            index: 0,
            order: Order::Write(Value::Bool(true)),
            deadline: Deadline::after(now, 1),
            read_back_only: false,
        }
    }

    fn rejected(submission: Submission) -> (CommandId, Reason) {
        let Input::Change(change, None) = submission.input else { panic!("no change") };
        match change.what {
            What::Step { command, step: Step::Ended(Outcome::Rejected(reason, _)) } => {
                (command, reason)
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_full_or_ended_line_rejects_at_once() {
        let (submissions, mut submitted) = mpsc::channel(8);
        let (clock, _) = Clock::manual(0, None, [0; 16]);
        let context = Context::new(submissions, clock, CancellationToken::new());
        let (handle, _devices, end) = line::<()>("line", &context);
        for id in 0..WAITING as u64 {
            handle.order(order(id)).await;
        }
        assert!(submitted.try_recv().is_err(), "they wait");
        handle.order(order(99)).await;
        assert_eq!(rejected(submitted.try_recv().unwrap()), (CommandId(99), Reason::Busy));
        drop(end);
        handle.order(order(100)).await;
        assert_eq!(rejected(submitted.try_recv().unwrap()), (CommandId(100), Reason::LineDown));
        let read = handle.read("pump".parse().unwrap(), vec![]).await;
        assert_eq!(read.unwrap_err().reason, Reason::LineDown);
    }
}
