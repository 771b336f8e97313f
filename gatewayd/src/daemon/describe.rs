//! Tells the log what the configured twins consist of. The keeper moves them through their life cycle.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use twin::{Change, Input, Origin, Receipt, Refusal, Revised, Submission, TwinId, What};
use twin_store::Store;

use crate::config::plan::DevicePlan;

/// Why a twin could not be described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// It has used up its indexes.
    #[error("{0} has had 65,535 points in its life; purge it, or give the device another id")]
    UsedUp(TwinId),
    /// The store refused it.
    #[error("what the configuration says of {twin} was refused: {words}")]
    Refused {
        /// Which twin.
        twin: TwinId,
        /// Why.
        words: String,
    },
}

/// Submits something and waits until it is durable or refused.
pub async fn settle(
    submissions: &mpsc::Sender<Submission>,
    input: Input,
) -> Result<twin::Accepted, Refusal> {
    submit(submissions, input).await?.await.unwrap_or(Err(Refusal::Stopped))
}

async fn submit(submissions: &mpsc::Sender<Submission>, input: Input) -> Result<Told, Refusal> {
    let (tell, told) = oneshot::channel();
    // Whoever waits is gone only when the daemon stops.
    let receipt = Receipt::new(move |answer| drop(tell.send(answer)));
    let submission = Submission { input, receipt: Some(receipt) };
    submissions.send(submission).await.map_err(|_| Refusal::Stopped)?;
    Ok(told)
}

/// Makes the declared twins what the log says they consist of, all with one wait for the disk.
pub async fn describe(
    store: &Store,
    submissions: &mpsc::Sender<Submission>,
    devices: &[Arc<DevicePlan>],
) -> Vec<Result<Revised, DescribeError>> {
    let mut pending = Vec::with_capacity(devices.len());
    for device in devices {
        pending.push(begin(store, submissions, device).await);
    }
    let mut all = Vec::with_capacity(devices.len());
    for (device, begun) in devices.iter().zip(pending) {
        all.push(finish(&device.twin, begun).await);
    }
    all
}

type Begun = Result<(Revised, Option<Told>), DescribeError>;
type Told = oneshot::Receiver<Result<twin::Accepted, Refusal>>;

async fn begin(
    store: &Store,
    submissions: &mpsc::Sender<Submission>,
    device: &DevicePlan,
) -> Begun {
    let (twin, declaration) = (&device.twin, &device.declaration);
    let revised = store.read(|state| match state.twin(twin) {
        Some(known) => known.description().revise(declaration),
        None => twin::Description::default().revise(declaration),
    });
    let revised = revised.ok_or_else(|| DescribeError::UsedUp(twin.clone()))?;
    if !revised.changed {
        return Ok((revised, None));
    }
    let what = What::Described(revised.description.clone().into());
    let change = Change { twin: twin.clone(), origin: Origin::Configuration, what };
    let told = submit(submissions, Input::Change(change, None)).await;
    told.map(|told| (revised, Some(told))).map_err(|refusal| refused(twin, &refusal))
}

async fn finish(twin: &TwinId, begun: Begun) -> Result<Revised, DescribeError> {
    match begun? {
        (revised, None) => Ok(revised),
        (revised, Some(told)) => match told.await.unwrap_or(Err(Refusal::Stopped)) {
            Ok(_) => Ok(revised),
            Err(refusal) => Err(refused(twin, &refusal)),
        },
    }
}

fn refused(twin: &TwinId, refusal: &Refusal) -> DescribeError {
    DescribeError::Refused { twin: twin.clone(), words: words(refusal) }
}

/// A refusal in words.
pub fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NoSuchTwin => "there is no such twin".into(),
        Refusal::Invalid(words) => words.to_string(),
        Refusal::Storage(words) => format!("it could not be made durable: {words}"),
        Refusal::Stopped => "the daemon is stopping".into(),
    }
}
