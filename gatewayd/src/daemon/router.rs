//! Carries command orders from the keeper to the line that serves the twin.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use twin::{Change, CommandOrder, Origin, Outcome, Reason, Step, Submission, What};

use super::lines::Lines;
use super::supervisor::{Fault, Life, Policy, Supervisor, Unit};

/// Starts the router. It ends when the keeper has gone.
pub fn start(
    supervisor: &Supervisor,
    lines: &Lines,
    submissions: &mpsc::Sender<Submission>,
    orders: mpsc::Receiver<CommandOrder>,
) -> Unit {
    let orders = Arc::new(Mutex::new(orders));
    let (lines, submissions) = (lines.clone(), submissions.clone());
    supervisor.start("router", Policy::default(), move |stop| -> Life {
        let (orders, lines, submissions) = (orders.clone(), lines.clone(), submissions.clone());
        Box::pin(async move {
            let mut orders = orders.lock().await;
            while let Some(Some(order)) = stop.run_until_cancelled(orders.recv()).await {
                route(&lines, &submissions, order).await?;
            }
            Ok(())
        })
    })
}

async fn route(
    lines: &Lines,
    submissions: &mpsc::Sender<Submission>,
    order: CommandOrder,
) -> Result<(), Fault> {
    if let Some(line) = lines.of(&order.twin) {
        line.order(order).await;
        return Ok(());
    }
    let words = format!("no line serves {}; `gatewayctl lines` shows which do", order.twin);
    let outcome = Outcome::Rejected(Reason::LineDown, words.into());
    let what = What::Step { command: order.id, step: Step::Ended(outcome) };
    let change = Change { twin: order.twin, origin: Origin::Keeper, what };
    // The writer is gone only while the daemon stops; the command then ends at the next start.
    submissions.send(Submission::change(change)).await.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::Clock;
    use twin::{BootId, Boottime, CommandId, Deadline, Input, Moment, Order, Value};

    use super::*;

    #[tokio::test]
    async fn a_command_without_a_line_ends_at_once() {
        let (submissions, mut submitted) = mpsc::channel(8);
        let (orders, ordered) = mpsc::channel(8);
        let supervisor = Supervisor::new(Clock::system());
        let unit = start(&supervisor, &Lines::default(), &submissions, ordered);
        let now = Moment { boottime: Boottime(0), boot: BootId([0; 16]), utc: None };
        let order = CommandOrder {
            id: CommandId(7),
            by: Origin::Configuration.principal(),
            twin: "pump".parse().unwrap(),
            index: 0,
            order: Order::Write(Value::Bool(true)),
            deadline: Deadline::after(now, 1),
            read_back_only: false,
        };
        orders.send(order).await.unwrap();
        let Input::Change(change, None) = submitted.recv().await.unwrap().input else {
            panic!("no change")
        };
        let What::Step { command, step: Step::Ended(Outcome::Rejected(reason, words)) } =
            change.what
        else {
            panic!("{:?}", change.what)
        };
        assert_eq!((command, reason), (CommandId(7), Reason::LineDown));
        assert!(words.contains("gatewayctl lines"));
        assert!(unit.stop(Duration::from_secs(1)).await);
    }
}
