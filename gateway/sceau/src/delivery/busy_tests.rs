use ident::Domain;

use super::*;

/// A dispatcher with these bounds and what is due, by destination.
struct World {
    busy: Busy,
    due: Vec<Destination>,
}

fn to(name: &str) -> Destination {
    Destination::Relay(Domain::parse(name).unwrap())
}

impl World {
    fn new(most: usize, most_each: usize, due: &[(&str, usize)]) -> Self {
        let mut busy = Busy::default();
        busy.bound(most, most_each);
        let due = due.iter().flat_map(|(name, count)| vec![to(name); *count]).collect();
        Self { busy, due }
    }

    /// Plays the store until nothing more is to be claimed; says how much was, and in how many turns.
    fn claim(&mut self) -> (usize, usize) {
        let (mut all, mut turns) = (0, 0);
        while let Some(request) = self.busy.request(Duration::from_secs(60), Timestamp::from_seconds(0)) {
            let mut claimed: Vec<Destination> = Vec::new();
            self.due.retain(|destination| {
                let given = claimed.iter().filter(|other| *other == destination).count();
                let gives = claimed.len() < request.limit
                    && given < request.per_destination
                    && !request.excluded.contains(destination);
                if gives {
                    claimed.push(destination.clone());
                }
                !gives
            });
            all += claimed.len();
            turns += 1;
            if !self.busy.began(&request, claimed.iter()) {
                break;
            }
        }
        (all, turns)
    }
}

#[test]
fn a_destination_never_has_more_than_its_share() {
    let mut world = World::new(100, 20, &[("a.test", 50)]);
    assert_eq!(world.claim(), (20, 1));
    assert_eq!(world.claim(), (0, 1), "full");
    assert!(world.busy.ended(&to("a.test")), "others waited for this");
    assert_eq!(world.claim(), (1, 1), "one place, one piece");
}

#[test]
fn what_a_narrow_turn_left_is_claimed_in_the_next() {
    let mut world = World::new(100, 4, &[("a.test", 3)]);
    assert_eq!(world.claim(), (3, 1));
    world.due.extend(vec![to("a.test"); 5]);
    world.due.extend(vec![to("b.test"); 5]);
    let (claimed, turns) = world.claim();
    assert_eq!(claimed, 1 + 4);
    assert!(turns > 1, "one place at a.test bounds each turn to one");
}

#[test]
fn the_whole_is_bounded_too() {
    let mut world = World::new(5, 4, &[("a.test", 4), ("b.test", 4)]);
    assert_eq!(world.claim().0, 5);
    assert!(world.busy.request(Duration::from_secs(60), Timestamp::from_seconds(0)).is_none());
    assert!(world.busy.ended(&to("b.test")));
    assert_eq!(world.claim().0, 1);
}

#[test]
fn an_end_that_nobody_waited_for_says_so() {
    let mut world = World::new(10, 4, &[("a.test", 2)]);
    assert_eq!(world.claim(), (2, 1));
    assert!(!world.busy.ended(&to("a.test")));
    assert!(!world.busy.ended(&to("a.test")));
    assert!(world.busy.by_destination.is_empty());
    assert_eq!(world.busy.all, 0);
}

#[test]
fn a_bound_of_zero_does_not_stop_delivery() {
    let mut world = World::new(0, 0, &[("a.test", 2)]);
    assert_eq!(world.claim(), (1, 1));
}
