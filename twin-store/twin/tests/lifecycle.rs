//! The page about the life cycle is made from the transition table, and the table is walked through exhaustively.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;

use proptest::prelude::*;
use twin::{Boottime, Handle, LifeCycle, Origin, Seq, TRANSITIONS, Trigger, Twin, What};

/// The page: a diagram, the states, and for each of them what leads where.
fn page() -> String {
    let mut page = String::from(
        "# The life cycle of a twin\n\n\
         Made from the transition table in `src/lifecycle.rs` by `LIFECYCLE=write cargo test -p twin --test lifecycle`;\n\
         a test compares the two. What is not in the table is refused and changes nothing.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> created\n",
    );
    let id = |state: &LifeCycle| state.word().replace(' ', "_");
    for (from, by, to) in TRANSITIONS {
        writeln!(page, "    {} --> {}: {by}", id(from), id(to)).ok();
    }
    page.push_str("```\n\n| state | meaning |\n|---|---|\n");
    for state in LifeCycle::ALL {
        writeln!(page, "| {state} | {} |", state.meaning()).ok();
    }
    page.push_str("\n| trigger | meaning |\n|---|---|\n");
    for by in Trigger::ALL {
        writeln!(page, "| {by} | {} |", by.meaning()).ok();
    }
    page.push_str("\n| from \\ trigger |");
    for by in Trigger::ALL {
        write!(page, " {by} |").ok();
    }
    page.push_str("\n|---|");
    page.push_str(&"---|".repeat(Trigger::ALL.len()));
    page.push('\n');
    for from in LifeCycle::ALL {
        write!(page, "| {from} |").ok();
        for by in Trigger::ALL {
            write!(page, " {} |", from.after(*by).map_or("", LifeCycle::word)).ok();
        }
        page.push('\n');
    }
    page
}

#[test]
fn the_page_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/LIFECYCLE.md");
    let page = page();
    if std::env::var("LIFECYCLE").is_ok_and(|how| how == "write") {
        std::fs::write(path, &page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(there, page, "LIFECYCLE.md is behind: LIFECYCLE=write");
}

fn moved(from: LifeCycle, trigger: Trigger, to: LifeCycle) -> What {
    What::Transition { from, to, trigger, detail: None, entanglement: Some([1.0, 0.5, 0.25]) }
}

/// A twin that stands there, by the shortest way through the table.
fn twin_in(state: LifeCycle) -> Twin {
    let mut twin = Twin::new("t".parse().unwrap(), Handle(1));
    let mut ways = vec![(LifeCycle::Created, Vec::new())];
    let mut at = 0;
    while let Some((here, way)) = ways.get(at).cloned() {
        at += 1;
        if here == state {
            for (from, by, to) in way {
                twin.apply(Seq(1), Boottime(0), &Origin::Keeper, &moved(from, by, to));
            }
            return twin;
        }
        for step in TRANSITIONS.iter().filter(|(from, ..)| *from == here) {
            if ways.iter().all(|(known, _)| known != &step.2) {
                ways.push((step.2, [&way[..], &[*step]].concat()));
            }
        }
    }
    panic!("nothing leads to {state}");
}

/// Every state, trigger and destination there could be: what the table has not is refused.
#[test]
fn what_is_not_in_the_table_is_refused() {
    let mut allowed = 0;
    for state in LifeCycle::ALL {
        let twin = twin_in(*state);
        for (from, by, to) in LifeCycle::ALL.iter().flat_map(|from| {
            let each = move |by| LifeCycle::ALL.iter().map(move |to| (*from, by, *to));
            Trigger::ALL.iter().copied().flat_map(each)
        }) {
            let legal = from == *state && TRANSITIONS.contains(&(from, by, to));
            assert_eq!(
                twin.check(&moved(from, by, to)).is_ok(),
                legal,
                "{state}: {from} {by} {to}"
            );
            allowed += usize::from(legal);
        }
    }
    assert_eq!(allowed, TRANSITIONS.len());
}

proptest! {
    /// Whatever is tried in whatever order, the twin stands where a walk through the table stands.
    #[test]
    fn any_order_of_triggers_is_a_walk_through_the_table(
        tries in proptest::collection::vec((0..Trigger::ALL.len(), 0..LifeCycle::ALL.len()), 0..60),
    ) {
        let mut twin = Twin::new("t".parse().unwrap(), Handle(1));
        let mut model = LifeCycle::Created;
        for (n, (by, to)) in tries.into_iter().enumerate() {
            let (by, to) = (Trigger::ALL[by], LifeCycle::ALL[to]);
            let what = moved(twin.life_cycle(), by, to);
            let next = TRANSITIONS.iter().find(|(f, b, _)| (*f, *b) == (model, by)).map(|t| t.2);
            if twin.check(&what).is_ok() {
                prop_assert_eq!(next, Some(to));
                twin.apply(Seq(n as u64 + 1), Boottime(0), &Origin::Keeper, &what);
                model = to;
                prop_assert_eq!(twin.since(), Seq(n as u64 + 1));
            } else {
                prop_assert_ne!(next, Some(to));
            }
            prop_assert_eq!(twin.life_cycle(), model);
        }
    }
}
