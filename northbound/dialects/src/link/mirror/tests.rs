use super::*;
use crate::sample;
use twin::{Entry, LifeCycle, Quality, Reported, Seq, TimeBase, Trigger, Value, What};

const METER: Handle = Handle(1);
const ELECTRICAL: Document = Document::Feature(0);

fn reported(seq: u64, volts: i64) -> twin::Commit {
    let entry =
        Entry { index: 0, quality: Quality::GOOD, value: Some(Value::Decimal(volts)), offset: 0 };
    let source = TimeBase::gateway(twin::Boottime(0));
    sample::twin(
        seq,
        What::Reported(Reported {
            revision: 1,
            group: 0,
            source,
            server: None,
            command: None,
            continued: false,
            entries: vec![entry],
        }),
    )
}

/// Sends all that is due, and says what.
fn drain(mirror: &mut Mirror, state: &State) -> Vec<(Document, u64)> {
    std::iter::from_fn(|| {
        let (handle, document, rev) = mirror.next(state)?;
        mirror.sent(handle, document, rev);
        Some((document, rev))
    })
    .collect()
}

fn ack(mirror: &mut Mirror, documents: &[(Document, u64)]) {
    for (document, rev) in documents {
        mirror.acked(METER, *document, *rev);
    }
}

#[test]
fn the_first_connection_sends_everything_and_the_second_what_the_broker_may_not_have() {
    let mut state = sample::state();
    let mut mirror = Mirror::new(vec![Pattern::new("*")]);
    mirror.connected(&state);
    let first = drain(&mut mirror, &state);
    let documents: Vec<_> = first.iter().map(|(document, _)| *document).collect();
    assert_eq!(documents, [Document::Description, ELECTRICAL, Document::Feature(1)]);
    ack(&mut mirror, &first[..1]);
    mirror.connected(&state);
    assert_eq!(drain(&mut mirror, &state), first[1..], "sent is not acknowledged");
    ack(&mut mirror, &first[1..]);

    state.apply(&reported(3, 2305));
    mirror.connected(&state);
    assert_eq!(drain(&mut mirror, &state), [(ELECTRICAL, 2)], "changed while we were away");
    mirror.forget();
    mirror.connected(&state);
    assert_eq!(drain(&mut mirror, &state).len(), 3);
}

#[test]
fn a_broker_that_forgot_everything_gets_everything_again() {
    let mut state = sample::state();
    let mut mirror = Mirror::new(vec![Pattern::new("*")]);
    mirror.connected(&state);
    let first = drain(&mut mirror, &state);
    ack(&mut mirror, &first);
    mirror.refresh(&state);
    mirror.flush();
    assert_eq!(drain(&mut mirror, &state), [], "this connection has carried all of it");

    state.apply(&reported(3, 2305));
    mirror.connected(&state);
    assert_eq!(drain(&mut mirror, &state), [(ELECTRICAL, 2)], "what changed comes first");
    mirror.refresh(&state);
    assert!(!mirror.due() && mirror.waiting(), "the rest in its turn");
    mirror.flush();
    let rest: Vec<_> = drain(&mut mirror, &state).into_iter().map(|(of, _)| of).collect();
    assert_eq!(rest, [Document::Description, Document::Feature(1)]);
}

#[test]
fn changes_between_two_flushes_become_one_document() {
    let mut state = sample::state();
    let mut mirror = Mirror::new(vec![Pattern::new("*")]);
    mirror.connected(&state);
    let all = drain(&mut mirror, &state);
    ack(&mut mirror, &all);
    for seq in 3..10 {
        state.apply(&reported(seq, 2300 + i64::try_from(seq).unwrap()));
        mirror.touch(state.by_handle(METER).unwrap());
        assert_eq!(mirror.next(&state), None, "not due yet");
    }
    assert!(mirror.waiting());
    mirror.flush();
    assert_eq!(drain(&mut mirror, &state), [(ELECTRICAL, 8)]);
    assert!(!mirror.waiting() && !mirror.due());
}

#[test]
fn a_life_cycle_is_a_document_once_there_is_one() {
    let mut state = sample::state();
    let mut mirror = Mirror::new(vec![Pattern::new("*")]);
    let (from, to) = (LifeCycle::Created, LifeCycle::Unbound);
    let trigger = Trigger::Configured;
    let moved = What::Transition { from, to, trigger, detail: None, entanglement: None };
    state.apply(&sample::twin(3, moved));
    mirror.connected(&state);
    assert!(drain(&mut mirror, &state).contains(&(Document::LifeCycle, 3)));
    assert_eq!(state.by_handle(METER).unwrap().since(), Seq(3));
}

#[test]
fn what_does_not_match_stays_here() {
    let state = sample::state();
    let mut mirror = Mirror::new(vec![Pattern::new("pump-*")]);
    mirror.connected(&state);
    assert_eq!(drain(&mut mirror, &state), []);
    assert!(!mirror.wants(state.by_handle(METER).unwrap()));
    assert_eq!(mirror.purged(METER), None);
}
