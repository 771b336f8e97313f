//! How positions move, split, merge and come back.

use super::*;
use proptest::prelude::*;

fn link(next: u64) -> Link {
    Link { dirty: false, ..Link::beginning(Seq(next - 1)) }
}

fn ranges(link: &Link) -> Vec<(u64, Option<u64>)> {
    link.lanes[2].iter().map(|l| (l.next.0, l.end.map(|e| e.0))).collect()
}

#[test]
fn a_reconnection_splits_what_is_left_from_what_comes() {
    let mut link = link(5);
    link.split(Seq(10), false);
    assert_eq!(ranges(&link), [(5, Some(10)), (11, None)]);
    link.split(Seq(10), false);
    assert_eq!(ranges(&link), [(5, Some(10)), (11, None)], "nothing new, nothing to split");
    let mut strict = Link::beginning(Seq(4));
    strict.split(Seq(10), true);
    assert_eq!(ranges(&strict), [(5, None)]);
}

#[test]
fn passing_what_carries_nothing_is_not_worth_a_record() {
    let mut link = link(5);
    link.lanes[2][0].pass(Seq(9));
    assert!(!link.dirty);
    assert_eq!(link.lanes[2][0].next, Seq(9));
}

#[test]
fn too_many_backlogs_merge_where_least_is_sent_twice() {
    let mut link = link(1);
    for head in [10, 20, 30, 40, 50, 60, 70, 80] {
        link.split(Seq(head), false);
        let lane = link.lanes[2].len() - 2;
        // Of each backlog a part is delivered: least of the one up to 30.
        link.lanes[2][lane].next.0 += if head == 30 { 1 } else { 5 };
    }
    link.lanes[2].back_mut().unwrap().next.0 += 5;
    link.split(Seq(90), false);
    assert_eq!(link.lanes[2].len(), 9);
    assert!(ranges(&link).contains(&(16, Some(30))), "{:?}", ranges(&link));
}

proptest! {
    #[test]
    fn the_position_is_the_lowest_that_is_not_settled(order in Just((1..20_u64).collect::<Vec<_>>()).prop_shuffle(), n in 0..19_usize) {
        let mut link = link(1);
        for seq in 1..20 {
            link.lanes[2][0].inflight.push_back((Seq(seq), false));
        }
        link.lanes[2][0].cursor = Seq(20);
        for seq in &order[..n] {
            link.settle(Class::Sample, 0, Seq(*seq));
        }
        let lowest = order[n..].iter().min().copied().unwrap_or(20);
        prop_assert_eq!(link.lanes[2][0].next, Seq(lowest));
    }

    #[test]
    fn positions_come_back(numbers in prop::collection::vec((any::<u32>(), 1..u64::MAX / 2), 0..5)) {
        let mut link = link(3);
        for (number, next) in numbers {
            link.lanes[1].push_front(Lane::new(number, Seq(next), Some(Seq(next + 5))));
        }
        let (name, mut out) = ("a".parse().unwrap(), Vec::new());
        put(&mut out, [(&name, &link)].into_iter());
        let older = out.clone();
        link.note = vec![7, 7];
        put_notes(&mut out, [(&name, &link)].into_iter());
        let mut links = Links::default();
        links.apply(&out);
        prop_assert_eq!(&links.links[&name].lanes, &link.lanes);
        prop_assert_eq!(&links.links[&name].note, &link.note);
        links.apply(&older);
        prop_assert_eq!(&links.links[&name].note, &link.note, "a record without a note takes none away");
    }
}
