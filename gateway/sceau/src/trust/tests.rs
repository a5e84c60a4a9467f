//! Lists that come, shrink, return and are refused, on the demonstration's first hospital with a clock that
//! is moved by hand.

use std::{fs, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use ident::{Clock as _, Domain, ManualClock, Timestamp};
use pki::{
    issue::KeyAlgorithm,
    keys::FileKey,
    trust_list::{OperatorName, TrustListDraft, TrustListEntry, TrustListError, sign_trust_list},
};

use super::*;
use crate::{
    config::Loaded,
    demo::{
        cast::Place,
        space::{Ports, Space, SpaceSettings},
    },
    gateway::{Gateway, StartError},
    snapshot::{Snapshot, list_profile},
};

const TEN_O_CLOCK: Timestamp = Timestamp::from_seconds(1_790_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A hospital in a space of its own.
struct Hospital {
    space: Space,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Hospital {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = SpaceSettings {
            folder: folder.path().to_owned(),
            now: TEN_O_CLOCK,
            seed: 1,
            people: 20,
            key: KeyAlgorithm::P256,
            ports: Ports::free(IpAddr::from([127, 0, 0, 1])).unwrap(),
        };
        let clock = Arc::new(ManualClock::at(TEN_O_CLOCK));
        Self { space: Space::create(&settings).unwrap(), clock, _folder: folder }
    }

    fn start(&self) -> Result<Arc<Gateway>, StartError> {
        Gateway::open(self.space.configuration(Place::A), Arc::clone(&self.clock) as _).map(|(gateway, _)| gateway)
    }

    fn loaded(&self) -> Loaded {
        Loaded::read(&self.space.configuration(Place::A)).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.space.trust_list()
    }

    /// The entries of the space's own list.
    fn entries(&self) -> Vec<TrustListEntry> {
        let loaded = self.loaded();
        Snapshot::load(&loaded, self.clock.now()).unwrap().trust_list.entries().cloned().collect()
    }

    /// A list of these entries, made at this moment, signed by whom everybody expects.
    fn signed(&self, entries: Vec<TrustListEntry>, generated: Timestamp) -> Vec<u8> {
        let file = |name: &str| fs::read(self.file().with_file_name(name)).unwrap();
        let key = FileKey::from_pem(&file("signer.key"), &file("signer.pem"), None).unwrap();
        let profile = list_profile(&self.loaded().config);
        sign_trust_list(&TrustListDraft { profile, generated, entries }, &key, generated).unwrap()
    }
}

fn fictional(name: &str) -> TrustListEntry {
    TrustListEntry {
        domain: Domain::parse(name).unwrap(),
        description: "CH FICTIF-TEST".into(),
        operators: vec![OperatorName::parse(&format!("CN=mss.{name},O=CH FICTIF-TEST,C=FR")).unwrap()],
        responsible: String::new(),
        support: String::new(),
        updated: String::new(),
    }
}

fn troubles(gateway: &Gateway) -> Vec<&'static str> {
    super::watch::alarms(&gateway.snapshot(), gateway.now()).into_keys().collect()
}

#[test]
fn an_accepted_list_outlives_a_restart_and_no_older_one_comes_back() {
    let hospital = Hospital::new();
    let first = fs::read(hospital.file()).unwrap();
    let gateway = hospital.start().unwrap();
    let newer = hospital.signed([hospital.entries(), vec![fictional("nouveau.test")]].concat(), TEN_O_CLOCK.plus(HOUR));
    assert!(matches!(gateway.offer_trust_list(&newer), Offered::Refused(Refused { why: TrustListError::Future(_) })));
    hospital.clock.advance(HOUR);
    let Offered::InForce(fresh) = gateway.offer_trust_list(&newer) else { panic!("refused") };
    assert_eq!((fresh.diff.added.len(), fresh.diff.removed.len(), fresh.shrunk), (1, 0, false));
    assert!(matches!(gateway.offer_trust_list(&newer), Offered::Same));
    let rolled_back = gateway.offer_trust_list(&first);
    assert!(
        matches!(rolled_back, Offered::Refused(Refused { why: TrustListError::RollBack { .. } })),
        "{rolled_back:?}"
    );
    drop(gateway);

    // The configured file is still the older one: it does not come back, and somebody is told.
    let gateway = hospital.start().unwrap();
    assert!(gateway.snapshot().trust_list.lists(&Domain::parse("nouveau.test").unwrap()));
    assert_eq!(troubles(&gateway), ["trust-list-refused"]);
    drop(gateway);
    // Nor with no file at all.
    fs::remove_file(hospital.file()).unwrap();
    let gateway = hospital.start().unwrap();
    assert_eq!(gateway.snapshot().held.memory.generated, TEN_O_CLOCK.plus(HOUR));
    drop(gateway);

    // The copy altered on the disk is nobody's list, and the older file still does not come back.
    fs::write(hospital.file(), &first).unwrap();
    let folder = hospital.loaded().data().join("trust");
    let copy = fs::read_dir(&folder).unwrap().flatten().find(|e| e.file_name().to_string_lossy().ends_with(".xml"));
    let copy = copy.unwrap().path();
    assert_eq!(fs::read(&copy).unwrap(), newer, "as received");
    fs::write(&copy, String::from_utf8(newer.clone()).unwrap().replace("nouveau.test", "mechant.test")).unwrap();
    assert!(
        matches!(hospital.start(), Err(StartError::Configuration(_))),
        "neither the altered copy nor the older file"
    );
    // The very list that was accepted mends it.
    fs::write(hospital.file(), &newer).unwrap();
    let gateway = hospital.start().unwrap();
    assert!(gateway.snapshot().trust_list.lists(&Domain::parse("nouveau.test").unwrap()));
    drop(gateway);
    // What is remembered is never forgotten by itself.
    fs::write(folder.join("state.json"), "{}").unwrap();
    assert!(matches!(hospital.start(), Err(StartError::Configuration(_))));
}

#[test]
fn a_broken_new_file_leaves_the_old_list_in_force_with_an_alarm() {
    let hospital = Hospital::new();
    let gateway = hospital.start().unwrap();
    let good = fs::read(hospital.file()).unwrap();
    hospital.clock.advance(HOUR);
    let newer = hospital.signed(vec![fictional("seul.test")], hospital.clock.now());
    let half = newer.get(..newer.len() / 2).unwrap().to_vec();
    let forged = String::from_utf8(newer.clone()).unwrap().replace("seul.test", "autre.test").into_bytes();
    for broken in [half, forged, Vec::new()] {
        fs::write(hospital.file(), &broken).unwrap();
        gateway.reload().unwrap();
        assert_eq!(gateway.snapshot().trust_list.domains().count(), 3);
        assert_eq!(troubles(&gateway), ["trust-list-refused"]);
        assert!(matches!(gateway.offer_trust_list(&broken), Offered::Refused(_)));
    }
    fs::write(hospital.file(), &good).unwrap();
    gateway.reload().unwrap();
    assert!(troubles(&gateway).is_empty(), "the alarm ends with its cause");
    fs::write(hospital.file(), &newer).unwrap();
    gateway.reload().unwrap();
    assert_eq!(gateway.snapshot().trust_list.domains().count(), 1);
}

#[test]
fn an_old_list_and_a_signer_who_cannot_be_judged_raise_alarms_and_stop_nothing() {
    let hospital = Hospital::new();
    drop(hospital.start().unwrap());
    // Long after every revocation list that we hold.
    hospital.clock.advance(HOUR * 24 * 60);
    let gateway = hospital.start().unwrap();
    assert_eq!(troubles(&gateway), ["trust-list-age", "trust-list-signer"]);
    assert_eq!(gateway.snapshot().trust_list.domains().count(), 3);
}
