//! The task: reads commits and ticks, answers with changes.

mod care;
mod hold;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Clock};
use tokio::sync::{mpsc, watch};
use twin::{
    Body, BootId, Boottime, Change, Command, CommandId, CommandOrder, Commit, Entangled, Handle,
    Moment, Order, Origin, Outcome, Principal, Reason, Reported, Seq, Stage, State, Step,
    Submission, Timestamp, Trigger, Twin, TwinId, What, interlocked,
};
use twin_store::{Follower, Frame, Freshness, Kind, Store};

use crate::alarms::Alarms;
use crate::commands::{concluded, overdue};
use crate::decide::{Fresh, Presence, trigger};
use crate::measure::Measures;

/// How often time is looked at. Commands and their answers do not wait for it.
const TICK: Duration = Duration::from_millis(250);

/// Microseconds after which a transition that was not committed is submitted again: the disk may have refused it.
pub(crate) const PATIENCE: i64 = 2_000_000;

/// Microseconds of a run during which the read-back of what may have left before it is waited for.
const READ_BACK: i64 = 60_000_000;

/// Everything about twins that time decides.
pub struct Keeper {
    store: Store,
    submissions: mpsc::Sender<Submission>,
    orders: mpsc::Sender<CommandOrder>,
    configured: watch::Receiver<Arc<BTreeSet<TwinId>>>,
    clock: Clock,
    /// When this run began: nothing heard before counts as heard.
    began: Boottime,
    /// When each twin entered its present state, as far as this run saw it.
    entered: BTreeMap<Handle, Boottime>,
    /// When each twin was last without an asset, as far as this run saw it.
    alone: BTreeMap<Handle, Boottime>,
    /// Transitions submitted and not yet committed: the commit since which the twin stands where it stood, and when.
    decided: BTreeMap<Handle, (Seq, Boottime)>,
    /// Commands that were open when this run began and have not been taken up again.
    inherited: BTreeSet<CommandId>,
    /// Commands that may have left before this run began: they are only read back.
    read_back: BTreeSet<CommandId>,
    measures: Measures,
    alarms: Alarms,
}

impl Keeper {
    /// A keeper over this store.
    ///
    /// `orders` takes each command once on its way to an adapter; `configured` names the twins that the
    /// configuration wants.
    #[must_use]
    pub fn new(
        store: Store,
        submissions: mpsc::Sender<Submission>,
        orders: mpsc::Sender<CommandOrder>,
        configured: watch::Receiver<Arc<BTreeSet<TwinId>>>,
        clock: Clock,
    ) -> Self {
        let began = Boottime(clock.boottime());
        let measures = Measures::new(began, store.away());
        let alarms = Alarms::new(store.read(|state| state.epoch()));
        Self {
            store,
            submissions,
            orders,
            configured,
            clock,
            began,
            entered: BTreeMap::new(),
            alone: BTreeMap::new(),
            decided: BTreeMap::new(),
            inherited: BTreeSet::new(),
            read_back: BTreeSet::new(),
            measures,
            alarms,
        }
    }

    /// Keeps until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut follower = self.store.follow(self.store.head().next());
        self.begin().await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.configured.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.tick().await;
                }
                commits = next(&mut follower, &self.store, &self.alarms) => {
                    for commit in commits {
                        self.follow(&commit).await;
                    }
                }
                _ = tick.tick() => self.tick().await,
            }
        }
    }

    /// Twins that an earlier epoch left shadowed are no longer known to mirror their assets, and its open commands
    /// are taken up again.
    async fn begin(&mut self) {
        let (restarted, open) = self.store.read(|state| {
            let earlier = |seq: Seq| {
                state.timeline().span_of(seq).is_none_or(|span| span.epoch < state.epoch())
            };
            let restarted: Vec<Change> = state
                .twins()
                .filter(|twin| earlier(twin.since()))
                .filter_map(|twin| transition(twin, Trigger::Restarted, None))
                .collect();
            let open: Vec<(CommandId, bool)> = state
                .twins()
                .flat_map(|twin| twin.commands())
                .filter(|(id, _)| earlier(Seq(id.0)))
                .map(|(id, command)| (*id, command.stage != Stage::Accepted))
                .collect();
            (restarted, open)
        });
        self.inherited = open.iter().map(|(id, _)| *id).collect();
        self.read_back = open.into_iter().filter(|(_, sent)| *sent).map(|(id, _)| id).collect();
        for change in restarted {
            self.submit(change).await;
        }
    }

    async fn follow(&mut self, commit: &Commit) {
        let Body::Twin { handle, twin, what, origin } = &commit.body else { return };
        match what {
            What::Transition { trigger, .. } => {
                self.entered.insert(*handle, commit.at);
                if matches!(trigger, Trigger::AssetUnbound | Trigger::Stopped) {
                    self.alone.insert(*handle, commit.at);
                }
                self.decided.remove(handle);
            }
            What::Command(command) => {
                let id = CommandId(commit.seq.0);
                self.dispatch(twin, id, (&origin.principal(), command), false).await
            }
            What::Event(event) => self.cared(twin, event.index).await,
            What::Reported(reported) => {
                if self.alarms.watches(*handle) {
                    self.watch(&[*handle]).await;
                }
                if let Some(id) = reported.command {
                    self.conclude(twin, id, reported).await;
                }
            }
            What::Step { command, step: Step::Acknowledged } => self.called(twin, *command).await,
            _ => {}
        }
    }

    async fn tick(&mut self) {
        let now = self.now();
        let looked = self.measures.due(now.boottime);
        if looked {
            for change in self.measured(now.boottime) {
                self.submit(change).await;
            }
        }
        for change in self.due(now, looked) {
            self.submit(change).await;
        }
        let alarms = &mut self.alarms;
        self.store.read(|state| {
            alarms.keep(state);
            state.twins().for_each(|twin| alarms.learn(twin, now.boottime));
        });
        let watched = self.alarms.watched();
        self.watch(&watched).await;
        self.take_up(now).await;
        self.hold(now).await;
    }

    fn handles(&self) -> Vec<Handle> {
        self.store.read(|state| state.twins().map(Twin::handle).collect())
    }

    /// What is known of the acquisitions of these twins.
    fn acquired(&self, twins: &[Handle]) -> BTreeMap<Handle, Vec<(u16, twin_store::Fresh)>> {
        self.store.freshness(|table| {
            let of = |handle| table.twin(handle).map(|(group, fresh)| (group, *fresh)).collect();
            twins.iter().map(|handle| (*handle, of(*handle))).collect()
        })
    }

    /// What is to be said of how entangled twins are.
    fn measured(&mut self, now: Boottime) -> Vec<Change> {
        let heard = self.acquired(&self.handles());
        self.measures.keep(|handle| heard.contains_key(&handle));
        let measures = &mut self.measures;
        self.store.read(|state| {
            let twins = state.twins();
            let look = |twin: &Twin| measures.look(twin, heard.get(&twin.handle())?, now);
            twins.filter_map(look).collect()
        })
    }

    /// Transitions and endings of commands and maintenance that time brings; `looked`: a second has passed.
    fn due(&mut self, now: Moment, looked: bool) -> Vec<Change> {
        let configured = self.configured.borrow().clone();
        let (entered, alone) = (&self.entered, &self.alone);
        let (began, decided) = (self.began, &mut self.decided);
        let (heard, read_back) = (heard(&self.store), &self.read_back);
        let measures = &self.measures;
        self.store.read(|state| {
            let mut due = Vec::new();
            for twin in state.twins() {
                let fresh = heard.get(&twin.handle()).map_or(&[][..], Vec::as_slice);
                let presence = Presence {
                    configured: configured.contains(twin.id()),
                    reached: fresh.iter().any(|f| f.last.is_some()),
                    entered: entered.get(&twin.handle()).copied().unwrap_or(began),
                    alone: alone.get(&twin.handle()).copied().unwrap_or(began),
                    fresh,
                    standing: measures.standing(twin, now.boottime),
                };
                let waits = decided.get(&twin.handle()).is_some_and(|(since, at)| {
                    *since == twin.since() && now.boottime.0 - at.0 < PATIENCE
                });
                if !waits
                    && let Some(by) = trigger(twin, &presence, now.boottime)
                    && let Some(change) = transition(twin, by, measures.of(twin.handle()))
                {
                    decided.insert(twin.handle(), (twin.since(), now.boottime));
                    due.push(change);
                }
                if looked && twin.maintenance().is_some_and(|m| !m.lasts(now)) {
                    let (twin, origin) = (twin.id().clone(), Origin::Keeper);
                    due.push(Change { twin, origin, what: What::Maintained(None) });
                }
                for (id, open) in twin.commands() {
                    // A restart may have taken longer than the deadline: the read-back is due all the same.
                    if read_back.contains(id) && now.boottime.0 - began.0 < READ_BACK {
                        continue;
                    }
                    if let Some(step) = overdue(twin, open, now) {
                        due.push(stepped(twin.id(), *id, restarted(step, read_back.contains(id))));
                    }
                }
            }
            due
        })
    }

    /// Commands of an earlier run go on once their asset is heard: accepted ones are sent, others only read back.
    async fn take_up(&mut self, now: Moment) {
        if self.inherited.is_empty() {
            return;
        }
        let heard = heard(&self.store);
        let reached = |twin: &Twin| {
            heard.get(&twin.handle()).is_some_and(|f| f.iter().any(|f| f.last.is_some()))
        };
        let ready: Vec<(TwinId, CommandId, Principal, Command)> = self.store.read(|state| {
            state
                .twins()
                .filter(|twin| !twin.commands().is_empty())
                .flat_map(|twin| {
                    // An alarm can be looked after without its asset.
                    let heard = reached(twin);
                    twin.commands()
                        .iter()
                        .filter(move |(_, open)| heard || twin.rule(open.command.index).is_some())
                        .map(|(id, open)| {
                            (twin.id().clone(), *id, open.by.clone(), open.command.clone())
                        })
                })
                .filter(|(_, id, _, command)| {
                    let may = self.read_back.contains(id) || !command.deadline.passed(now);
                    may && self.inherited.contains(id)
                })
                .collect()
        });
        for (twin, id, by, command) in ready {
            self.inherited.remove(&id);
            let read_back_only = self.read_back.contains(&id);
            self.dispatch(&twin, id, (&by, &command), read_back_only).await;
        }
    }

    async fn dispatch(
        &self,
        twin: &TwinId,
        id: CommandId,
        (by, command): (&Principal, &Command),
        read_back_only: bool,
    ) {
        let alarm = |state: &State| state.twin(twin)?.rule(command.index).map(drop);
        if self.store.read(alarm).is_some() {
            return self.care(twin, id, command).await;
        }
        // What was so when it was accepted may not be so any more.
        let locked = |state: &State| interlocked(state.twin(twin)?, command.index, id).err();
        if !read_back_only && let Some(words) = self.store.read(locked) {
            let outcome = Outcome::Rejected(Reason::Interlock, words.into());
            return self.submit(stepped(twin, id, Step::Ended(outcome))).await;
        }
        let order = CommandOrder {
            id,
            by: by.clone(),
            twin: twin.clone(),
            index: command.index,
            order: command.order.clone(),
            deadline: command.deadline,
            read_back_only,
        };
        let reason = match self.orders.try_send(order) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(_)) => Reason::Busy,
            Err(mpsc::error::TrySendError::Closed(_)) => Reason::LineDown,
        };
        let step = restarted(
            Step::Ended(Outcome::Rejected(reason, reason.meaning().into())),
            read_back_only,
        );
        self.submit(stepped(twin, id, step)).await;
    }

    /// A read-back arrived: what it says ends the command.
    async fn conclude(&self, twin: &TwinId, id: CommandId, reported: &Reported) {
        let inherited = self.read_back.contains(&id);
        let step = self.store.read(|state| {
            let twin = state.twin(twin)?;
            concluded(twin, id, reported)
        });
        if let Some(step) = step {
            self.submit(stepped(twin, id, restarted(step, inherited))).await;
        }
    }

    /// An action has nothing to read back: the asset's yes confirms it.
    async fn called(&self, twin: &TwinId, id: CommandId) {
        let call = self.store.read(|state| {
            let open = state.twin(twin).and_then(|t| t.commands().get(&id));
            open.is_some_and(|open| matches!(open.command.order, Order::Call(_)))
        });
        if call {
            self.submit(stepped(twin, id, Step::Ended(Outcome::Confirmed))).await;
        }
    }

    async fn submit(&self, change: Change) {
        // The writer outlives the keeper; when it does not, the daemon is stopping.
        self.submissions.send(Submission::change(change)).await.ok();
    }

    fn now(&self) -> Moment {
        Moment {
            boottime: Boottime(self.clock.boottime()),
            boot: BootId(self.clock.boot()),
            utc: self.clock.utc().map(Timestamp),
        }
    }
}

/// The next commits that concern the keeper: readings only of twins that have commands open or alarms.
async fn next(follower: &mut Follower, store: &Store, alarms: &Alarms) -> Vec<Commit> {
    let frames = follower.next().await;
    store.read(|state| {
        let waits = |frame: &Frame| {
            frame.kind != Kind::Reported
                || alarms.watches(frame.handle)
                || state.by_handle(frame.handle).is_some_and(|twin| !twin.commands().is_empty())
        };
        frames.iter().filter(|frame| waits(frame)).filter_map(|frame| frame.commit(state)).collect()
    })
}

/// What this run of the daemon has heard of every twin's groups.
fn heard(store: &Store) -> BTreeMap<Handle, Vec<Fresh>> {
    let handles: Vec<Handle> = store.read(|state| state.twins().map(Twin::handle).collect());
    let of = |table: &Freshness, handle| {
        table.twin(handle).map(|(group, seen)| Fresh { group, last: seen.last_ok }).collect()
    };
    store.freshness(|table| handles.into_iter().map(|handle| (handle, of(table, handle))).collect())
}

fn transition(twin: &Twin, trigger: Trigger, measured: Option<Entangled>) -> Option<Change> {
    let from = twin.life_cycle();
    let to = from.after(trigger)?;
    let entanglement = measured.map(|entangled| entangled.figures());
    let what = What::Transition { from, to, trigger, detail: None, entanglement };
    Some(Change { twin: twin.id().clone(), origin: Origin::Keeper, what })
}

fn stepped(twin: &TwinId, command: CommandId, step: Step) -> Change {
    Change { twin: twin.clone(), origin: Origin::Keeper, what: What::Step { command, step } }
}

/// What is left of an ending when the command may have left before a restart: only a confirmation is certain.
fn restarted(step: Step, read_back_only: bool) -> Step {
    match step {
        Step::Ended(Outcome::Rejected(_, words) | Outcome::Unknown(_, words)) if read_back_only => {
            Step::Ended(Outcome::Unknown(Reason::Restarted, words))
        }
        other => other,
    }
}
