//! What many layers cost (A20).

use std::sync::{Arc, atomic::Ordering};

use super::{
    forged::{mail, signed},
    oracle::{Counted, Counting},
    *,
};
use crate::{Access, open_source, source::Source};

/// Each layer of a large message is taken off a fixed number of times, however many lie around it: octets are
/// counted as they are read, of the message as it came and of what came out of its layers.
#[test]
fn a20_the_work_grows_with_the_layers_and_no_faster() {
    let world = World::new();
    let text = format!("Content-Type: text/plain\n\n{}", "bonjour bonjour\n".repeat(62_000));
    let mut entity = wire(&text);
    for layers in 1..=4u64 {
        entity = signed(&world.gateway, &entity);
        let message = mail("zoe@ch-exemple.test", &entity);
        let size = message.len() as u64;
        let (wire, room) = (Counting::default(), Counting::default());
        let source = Counted(Arc::new(message) as Arc<dyn Source>, Arc::clone(&wire.0));
        let outcome = open_source(Arc::new(source), Access::Keys(&[]), &[], &Limits::default(), &room);
        let (wire, room) = (wire.0.load(Ordering::Relaxed), room.0.load(Ordering::Relaxed));
        println!("{layers} layers, {size} octets: {wire} read, {room} read again");
        assert!(outcome.is_ok());
        // Two looks at the header, the structure of the container, and its content once; what is small in memory.
        assert!(wire <= 5 * size, "{layers} layers: {} times", wire / size);
        assert!(room <= layers * 5 * size, "{layers} layers: {} times", room / size);
    }
}
