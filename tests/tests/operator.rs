//! What an operator does from the command line and by signal, on the running gateway.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place::{A, B};
use tests::capture::{Sink, SinkOptions};
use tests::gateway::{sceau, sceau_json};
use tests::postfix::{Postfix, PostfixOptions};
use tests::process::PATIENCE;
use tests::swaks::Swaks;
use tests::world::{World, assert_refused, hand_over, letter};

fn queue_id(reply: &str) -> String {
    reply.split("Accepted as ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// Looks at the queue until it shows what is waited for.
#[track_caller]
fn wait_for_queue(configuration: &str, shows: impl Fn(&str) -> bool) {
    let begun = std::time::Instant::now();
    loop {
        let (_, queue) = sceau_json(&["queue", "list", "--config", configuration]);
        if shows(&queue.to_string()) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the queue never showed it: {queue}");
    }
}

/// `check` says yes, or names the line and what was probably meant.
#[test]
fn check_names_the_line_of_a_fault() {
    let world = World::new();
    let configuration = world.configuration(A);
    let arguments = ["check", "--config", configuration.to_str().unwrap()];
    let good = sceau(&arguments, b"");
    assert_eq!(good.code, Some(0), "{}{}", good.text(), good.errors);

    world.edit(A, "sceau.toml", "hostname = ", "hostnam = ");
    let bad = sceau(&arguments, b"");
    assert_eq!(bad.code, Some(2), "{}{}", bad.text(), bad.errors);
    let line = std::fs::read_to_string(&configuration).unwrap().lines().position(|line| line.starts_with("hostnam = "));
    let line = (line.unwrap() + 1).to_string();
    assert!(bad.errors.contains(&line) && bad.errors.contains("hostname"), "{}", bad.errors);
}

/// SIGHUP: a good change is taken up without a restart, a bad one leaves the old state in force.
#[test]
fn reload_takes_good_changes_and_refuses_bad_ones() {
    let world = World::new();
    let a = world.serve(A);
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    wire.say("RCPT TO:<nouveau@ch-a.mssante.test>");
    assert_refused(&wire.reply(), 550, "recipient-unknown");

    world.append(A, "registry.toml", "[[mailbox]]\naddress = \"nouveau@ch-a.mssante.test\"\ntype = \"ORG\"\nname = \"Nouveau\"\nstructure = \"1990000011\"");
    a.hang_up();
    a.wait_for_line(&["read again"]);
    wire.exchange("RCPT TO:<nouveau@ch-a.mssante.test>", 250);

    world.append(A, "registry.toml", "[[mailbox]]\naddress = \"not an address\"");
    a.hang_up();
    a.wait_for_line(&["reload refused"]);
    wire.exchange("RCPT TO:<nouveau@ch-a.mssante.test>", 250);
}

/// A message is listed, held, released and cancelled, each order with its exit code.
#[test]
fn the_queue_obeys_orders() {
    let world = World::new();
    let _a = world.serve(A);
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let id = queue_id(&hand_over(&mut wire, &from, &to, &letter(&from, &to, "En attente")).text());

    let order = |order: &str| sceau(&["queue", order, &id, "--reason", "essai", "--config", configuration], b"");
    let listed = || sceau_json(&["queue", "list", "--config", configuration]).1.to_string();
    assert!(listed().contains(&id));
    assert_eq!(order("hold").code, Some(0));
    assert!(listed().to_lowercase().contains("held"), "{}", listed());
    assert_eq!(order("release").code, Some(0));
    assert_eq!(order("cancel").code, Some(0));
    assert!(!listed().contains(&id), "{}", listed());
    assert_eq!(order("cancel").code, Some(1), "what has ended cannot be cancelled");
    let (_, told) = sceau_json(&["why", &id, "--config", configuration]);
    assert!(told.to_string().contains("essai"), "the reason is not in the trail: {told}");
}

/// The order `retry` does not wait for the schedule.
#[test]
fn retry_tries_now() {
    let world = World::new();
    world.edit(B, "sceau.toml", "first_retry = \"1s\"", "first_retry = \"2h\"");
    world.edit(B, "sceau.toml", "last_retry = \"8s\"", "last_retry = \"3h\"");
    world.edit(B, "sceau.toml", "lifetime = \"5m\"", "lifetime = \"2d\"");
    world.edit(B, "sceau.toml", "delay_notices = [\"15s\", \"60s\"]", "delay_notices = []");
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let store = Sink::start(SinkOptions::lmtp().at(world.ports(B).inner).answering(move |said| {
        let first = said.starts_with("RCPT") && tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        first.then(|| "451 4.2.1 not now".to_owned())
    }));
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Encore")).code, 250);
    let configuration = world.configuration(B);
    let configuration = configuration.to_str().unwrap();
    wait_for_queue(configuration, |queue| queue.contains("not now"));
    let retried = sceau(&["queue", "retry", "Encore@wire.test", "--config", configuration], b"");
    assert_eq!(retried.code, Some(0), "{}{}", retried.text(), retried.errors);
    assert!(String::from_utf8_lossy(&store.wait_for(1)[0].message).contains("Subject: Encore"));
}

/// An unlisted mail server of the ordinary kind at the exchange port: no certificate, no entry.
#[test]
fn an_ordinary_mail_server_is_a_stranger() {
    let world = World::new();
    let _b = world.serve(B);
    let stranger = Postfix::start(
        &PostfixOptions::new("mail.elsewhere.test").route("*", world.ports(B).exchange).tls_where_offered(),
    );
    let to = world.address("moreau");
    let message = letter("somebody@elsewhere.test", &to, "Bonjour");
    let put = Swaks::to(stranger.inject()).from("somebody@elsewhere.test").recipients(&[&to]).send(&message);
    assert_eq!(put.code, Some(0), "{}", put.text());
    stranger.wait_for_line(&["certificate-required"]);
}
