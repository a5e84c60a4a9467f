//! Places for connections: so many in all, so many for one peer. Every port counts its own.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// How many connections a port has room for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// In all.
    pub(crate) all: usize,
    /// From one neighbourhood.
    pub(crate) each: usize,
}

/// How many connections there are, in all and per neighbourhood.
#[derive(Default)]
pub(crate) struct Places {
    by_address: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What counts as one peer: an IPv4 address, or an IPv6 network of 64 bits, because whoever has one
/// of its addresses has them all.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// A connection's place; leaving frees it.
pub(crate) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// A place for a connection from `address`, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, room: Room) -> Option<Place> {
        let address = neighbourhood(address);
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = counts.by_address.get(&address).copied().unwrap_or_default();
        // Who is turned away leaves nothing behind: strangers have more addresses than we have memory.
        if counts.all >= room.all || mine >= room.each {
            return None;
        }
        counts.all = counts.all.saturating_add(1);
        counts.by_address.insert(address, mine.saturating_add(1));
        Some(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_freed() {
        let places = Arc::new(Places::default());
        let room = Room { all: 3, each: 2 };
        let (a, b): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = places.enter(a, room).unwrap();
        let _second = places.enter(a, room).unwrap();
        assert!(places.enter(a, room).is_none(), "per address");
        let _third = places.enter(b, room).unwrap();
        assert!(places.enter(b, room).is_none(), "in all");
        drop(first);
        assert!(places.enter(b, room).is_some());
    }

    /// RX2: with all places taken, thousands of strangers come and go without a trace.
    #[test]
    fn who_is_turned_away_leaves_nothing_behind() {
        let places = Arc::new(Places::default());
        let room = Room { all: 1, each: 1 };
        let only = places.enter([127, 0, 0, 1].into(), room).unwrap();
        for n in 1..5000u32 {
            assert!(places.enter(IpAddr::from(n.to_be_bytes()), room).is_none());
        }
        assert_eq!(places.by_address.lock().unwrap().by_address.len(), 1);
        drop(only);
        assert_eq!(places.by_address.lock().unwrap().by_address.len(), 0);
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let places = Arc::new(Places::default());
        let room = Room { all: 10, each: 1 };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let _one = places.enter(address("2001:db8:0:1::1"), room).unwrap();
        assert!(places.enter(address("2001:db8:0:1:ffff::2"), room).is_none());
        let _other = places.enter(address("2001:db8:0:2::1"), room).unwrap();
        let _four = places.enter(address("192.0.2.1"), room).unwrap();
        assert!(places.enter(address("::ffff:192.0.2.1"), room).is_none());
    }
}
