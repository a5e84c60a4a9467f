//! The server's side of LDAP (RFC 4511): a whole session from one input, over a small directory.
//!
//! The first octet says whether TLS is there and how the stream is cut.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use annuaire::{
    Generation,
    ldap::{Bind, Code, Ending, NoCertificates, Pages, Rights, Session, Settings, Work, World},
};

use crate::{Target, samples};

/// The target.
pub const TARGET: Target = Target {
    name: "ldap",
    covers: &[
        "annuaire/src/ldap/ber.rs",
        "annuaire/src/ldap/dn.rs",
        "annuaire/src/ldap/filter.rs",
        "annuaire/src/ldap/matching.rs",
        "annuaire/src/ldap/message.rs",
        "annuaire/src/ldap/page.rs",
        "annuaire/src/ldap/session.rs",
        "annuaire/src/ldap/spelling.rs",
    ],
    run,
    seeds: samples::ldap::all,
};

/// The sample that the directory's own tests load.
static DIRECTORY: LazyLock<Generation> = LazyLock::new(|| {
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../annuaire/tests/sample"));
    annuaire::build(sample).expect("the sample can be read").1.expect("a generation")
});

static SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(|| {
    Arc::new(Settings {
        base: "dc=annuaire".to_owned(),
        organisation: "CH Exemple (test)".to_owned(),
        help: "aide@ch-exemple.test".to_owned(),
        anonymous: Some(Rights { entries: 20, paged: Some(40) }),
        starttls: true,
        external: true,
        pages: Pages::new([7; 32]),
    })
});

/// Most octets that one input is answered with: every question that fits into it, each with twenty entries.
const MOST_SAID: usize = 32 * 1024 * 1024;

/// Most octets of the log's word for a search.
const MOST_SHOWN: usize = 4096;

fn run(data: &[u8]) -> bool {
    let Some((&kind, stream)) = data.split_first() else {
        return false;
    };
    let mut session = Session::new(Arc::clone(&SETTINGS), kind & 1 == 0);
    let piece = usize::from(kind >> 1).saturating_mul(8).saturating_add(1);
    let (mut deep, mut said) = (false, 0usize);
    for chunk in stream.chunks(piece) {
        session.receive(chunk);
        deep |= drive(&mut session);
        let output = session.take_output();
        assert!(whole_messages(&output), "what is said is BER");
        said = said.saturating_add(output.len());
        assert!(said <= MOST_SAID, "what is said is bounded");
    }
    deep
}

/// Does the work that the session gives; true if it went deep enough.
fn drive(session: &mut Session) -> bool {
    let mut deep = false;
    while let Some(work) = session.poll() {
        match work {
            Work::StartTls => session.tls_started(),
            Work::Bind(Bind::External { .. }) => {
                session.bound(Ok(("899700000017".to_owned(), Rights { entries: 50, paged: None })));
            }
            Work::Bind(Bind::Simple { .. }) => session.bound(Err(Ending::new(Code::InvalidCredentials, "no"))),
            Work::Search(search) => {
                let world = World { generation: &DIRECTORY, registry: None, certificates: &NoCertificates };
                let shown = search.shown();
                assert!(shown.len() <= MOST_SHOWN && !shown.contains(char::is_control), "the log: {shown:?}");
                deep |= search.time_limit() == 7 && shown.contains("(!(");
                let found = search.run(world, &|| false);
                assert!(found.entries <= 500, "no more entries than a page has");
                session.found(found);
            }
        }
    }
    deep
}

/// Whether these are whole elements, one after the other.
fn whole_messages(mut rest: &[u8]) -> bool {
    while let [tag, first, after @ ..] = rest {
        let long = usize::from(first & 0x7f);
        let (length, after) = match *first {
            short @ 0..=0x7f => (usize::from(short), after),
            _ => match after.split_at_checked(long) {
                Some((digits, after)) => (digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)), after),
                None => return false,
            },
        };
        let Some((_, next)) = after.split_at_checked(length) else { return false };
        if *tag != 0x30 {
            return false;
        }
        rest = next;
    }
    rest.is_empty()
}
