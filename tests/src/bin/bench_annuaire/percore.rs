//! Exact searches over LDAP, as fast as they are answered: what each costs the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::asking::{ldap::Ldap, place::Doors};
use tests::bench::cpu;
use tests::bench::report::{Ratio, Table, median};

use crate::{
    ours::filter,
    questions::{Kind, Question},
};

/// Connections at once.
const CONNECTIONS: usize = 4;
const ROUNDS: usize = 5;

struct Run {
    rate: f64,
    /// Searches that a second of processor is enough for.
    per_core: f64,
}

/// Identifiers and mailboxes asked of us and of slapd in turn.
pub(crate) fn exact(kinds: &[Kind], time: Duration, sceau: (SocketAddr, u32), slapd: (SocketAddr, u32)) -> Vec<Ratio> {
    println!("\nExact searches over LDAP with TLS, {CONNECTIONS} connections, medians of {ROUNDS} rounds:");
    let mut table =
        Table::new(&["", "sceau /s", "slapd /s", "sceau, /s of a core", "slapd, /s of a core", "sceau / slapd"]);
    let mut ratios = Vec::new();
    for (kind, name) in kinds.iter().zip(["annuaire_ldap_identifier", "annuaire_ldap_mailbox"]) {
        let rounds: Vec<[Run; 2]> =
            (0..ROUNDS).map(|_| [sceau, slapd].map(|subject| run(subject, &kind.questions, time))).collect();
        let middle = |figure: &dyn Fn(&[Run; 2]) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        let (ours, theirs) = (middle(&|both| both[0].per_core), middle(&|both| both[1].per_core));
        let ratio = middle(&|both| both[0].per_core / both[1].per_core);
        let rates = [middle(&|both| both[0].rate), middle(&|both| both[1].rate)];
        table.row(&[
            kind.name.to_owned(),
            format!("{:.0}", rates[0]),
            format!("{:.0}", rates[1]),
            format!("{ours:.0}"),
            format!("{theirs:.0}"),
            format!("{ratio:.2}"),
        ]);
        let raw = format!("sceau {ours:.0}, slapd {theirs:.0} searches for a second of a core; sceau / slapd");
        ratios.push(Ratio::new(name, raw, ratio));
    }
    table.print();
    ratios
}

fn run((at, pid): (SocketAddr, u32), questions: &[Question], time: Duration) -> Run {
    let before = cpu::used_by(pid);
    let began = Instant::now();
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                scope.spawn(move || {
                    let mut client = Ldap::connect(at, Doors::BASE);
                    let turn = questions.iter().cycle().skip(number * 101);
                    let mut count = 0u64;
                    for question in turn {
                        assert!(client.search(&filter(question), 20).unwrap().is_answer());
                        count += 1;
                        if count.is_multiple_of(16) && began.elapsed() >= time {
                            break;
                        }
                    }
                    count
                })
            })
            .collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    let used = cpu::used_by(pid).saturating_sub(before).as_secs_f64().max(0.01);
    let count = counts.iter().sum::<u64>() as f64;
    Run { rate: count / began.elapsed().as_secs_f64(), per_core: count / used }
}
