//! Evidence bundles: what they prove, and that no change of one goes unseen.

use super::{
    tests::{KEY, append, at, copy, id, lines, reader, secrets, trail, verifier},
    *,
};
use crate::{Class, Record};

fn exported(dir: &std::path::Path, wanted: Wanted, known: &[KnownCheckpoint]) -> String {
    reader(dir).export(wanted, known).unwrap().unwrap().to_text().unwrap()
}

/// Whether a reader with the key, and one who only has the bundle, both see that it is good.
fn good(text: &str) -> bool {
    let Ok(bundle) = Bundle::parse(text) else { return false };
    let (known, own) = (bundle.verify(Some(&verifier()), &[]).ok, bundle.verify(None, &[]).ok);
    assert_eq!(known, own, "{text}");
    known
}

fn kept(dir: &std::path::Path, number: usize) -> KnownCheckpoint {
    let text = std::fs::read_to_string(dir.join("checkpoints")).unwrap();
    KnownCheckpoint { place: "peer".to_owned(), note: checkpoint::split_notes(&text).0[number].to_owned() }
}

#[test]
fn a_bundle_about_a_message_proves_its_entries_and_says_what_it_does_not() {
    let dir = trail(&[10, 20, 30]);
    let text = exported(dir.path(), Wanted::Message(id(7)), &[]);
    let report = Bundle::parse(&text).unwrap().verify(Some(&verifier()), &[]);
    assert!(report.ok && report.key_known, "{report:#?}");
    assert_eq!(report.entries.iter().map(|entry| entry.entry).collect::<Vec<_>>(), [21, 22]);
    let first = &report.entries[0].records.as_ref().unwrap()[0];
    assert_eq!(first.to_json().unwrap(), lines(21).trim_end().as_bytes());
    // Signed before the first entry, with the last one, and what the proofs lead to.
    assert_eq!(report.checkpoints.iter().map(|c| c.size).collect::<Vec<_>>(), [10, 30, 60]);
    let (proves, not) = (report.proves(), report.does_not_prove());
    assert!(proves[0].en.contains("These 2 entries") && proves[1].fr.contains("au plus tard"), "{proves:?}");
    assert!(not.iter().any(|said| said.en.contains("all entries about message")), "{not:?}");
    assert!(not.iter().any(|said| said.en.contains("another history")), "{not:?}");
    let own = Bundle::parse(&text).unwrap().verify(None, &[]);
    assert!(own.ok && own.does_not_prove()[0].en.contains("the key is the gateway's"));
    assert!(reader(dir.path()).export(Wanted::Message(id(700)), &[]).unwrap().is_none());
}

/// Nothing in the file is without meaning, and nothing has two spellings.
#[test]
fn every_flipped_octet_of_a_bundle_is_found() {
    let dir = trail(&[10, 20, 30]);
    let text = exported(dir.path(), Wanted::Message(id(7)), &[]);
    assert!(good(&text));
    let unseen = |octets: Vec<u8>| {
        let bundle = String::from_utf8(octets).ok().and_then(|text| Bundle::parse(&text).ok());
        bundle.is_some_and(|bundle| bundle.verify(None, &[]).ok)
    };
    for offset in 0..text.len() {
        let mut octets = text.as_bytes().to_vec();
        octets[offset] ^= if offset % 2 == 0 { 0x01 } else { 0x20 };
        assert!(!unseen(octets), "octet {offset} of {text}");
        if offset % 5 == 0 {
            let mut shorter = text.clone().into_bytes();
            shorter.remove(offset);
            assert!(!unseen(shorter), "octet {offset} removed from {text}");
        }
    }
    assert!(!good(&format!("{text}\n")));
}

#[test]
fn a_span_is_whole_in_order_and_between_checkpoints() {
    let dir = trail(&[10, 20, 30, 5]);
    // From the checkpoint of 10 entries (signed at 10) to that of 60.
    let text = exported(dir.path(), Wanted::Period { since: at(12), until: at(45) }, &[]);
    let bundle = Bundle::parse(&text).unwrap();
    let report = bundle.verify(Some(&verifier()), &[]);
    assert!(report.ok, "{:#?}", report.findings);
    assert_eq!((report.about, report.entries.len()), (About::Entries { from: 10, to: 60 }, 50));
    assert!(report.proves().iter().any(|said| said.en.contains("none is left out")));
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut value);
        let other: Bundle = serde_json::from_value(value).unwrap();
        let report = other.verify(Some(&verifier()), &[]);
        assert!(!report.ok);
        report.findings[0].place.clone()
    };
    assert_eq!(changed(&|v| drop(v["entries"].as_array_mut().unwrap().remove(5))), "entry 15");
    assert_eq!(changed(&|v| v["entries"].as_array_mut().unwrap().swap(5, 6)), "entry 15");
    assert_eq!(changed(&|v| drop(v["entries"].as_array_mut().unwrap().pop())), "entry 59");
    assert_eq!(changed(&|v| v["entries"][7]["records"] = lines(3).into()), "entry 17");
    assert_eq!(changed(&|v| v["entries"][7]["salt"] = v["entries"][8]["salt"].clone()), "entry 17");
    assert_eq!(changed(&|v| drop(v["anchors"].as_array_mut().unwrap().remove(0))), "about");
    assert_eq!(changed(&|v| v["anchors"].as_array_mut().unwrap().swap(0, 1)), "anchor 1");
    assert_eq!(changed(&|v| v["about"]["entries"]["from"] = 11.into()), "entry 11");
    assert_eq!(changed(&|v| v["checkpoint"] = v["anchors"][1]["checkpoint"].clone()), "anchor 0");
}

#[test]
fn a_known_checkpoint_is_contained_contradicted_or_out_of_reach() {
    let dir = trail(&[10, 20, 30, 5, 7]);
    let known = kept(dir.path(), 3);
    let wanted = Wanted::Message(id(7));
    let without = Bundle::parse(&exported(dir.path(), wanted, &[])).unwrap();
    let report = without.verify(Some(&verifier()), std::slice::from_ref(&known));
    assert_eq!((report.ok, report.known[0].1), (true, KnownOutcome::NotComparable));
    let with = Bundle::parse(&exported(dir.path(), wanted, std::slice::from_ref(&known))).unwrap();
    let report = with.verify(Some(&verifier()), std::slice::from_ref(&known));
    assert_eq!((report.ok, report.known[0].1), (true, KnownOutcome::Contained), "{:#?}", report.findings);
    assert!(report.proves().iter().any(|said| said.en.contains("kept elsewhere (peer)")));
    // The same keys, another story: whoever keeps a checkpoint of the first sees it.
    let forged = copy(dir.path());
    for file in ["log", "records"] {
        std::fs::remove_dir_all(forged.path().join(file)).unwrap();
    }
    for file in ["checkpoints", "keys.db", "index.db"] {
        std::fs::remove_file(forged.path().join(file)).unwrap();
    }
    let (mut forger, _) = Trail::open(forged.path(), secrets()).unwrap();
    append(&mut forger, 0, 65);
    append(&mut forger, 65, 80);
    drop(forger);
    let error = reader(forged.path()).export(wanted, std::slice::from_ref(&known)).unwrap_err();
    assert!(error.to_string().starts_with("peer: the trail does not continue it"), "{error}");
    let own = kept(forged.path(), 0);
    let other = Bundle::parse(&exported(forged.path(), wanted, std::slice::from_ref(&own))).unwrap();
    let report = other.verify(Some(&verifier()), std::slice::from_ref(&known));
    assert_eq!((report.ok, report.known[0].1), (false, KnownOutcome::Contradicted));
    assert_eq!(report.findings[0].place, "peer");
    // Cut behind it.
    let short = trail(&[10]);
    let error = reader(short.path()).export(Wanted::Message(id(1)), &[known]).unwrap_err();
    assert!(error.to_string().contains("the trail was cut"), "{error}");
    // Another key than the one that is known.
    let stranger = NoteSigner::new("trail.ch-exemple.test", &[9; 32]).unwrap();
    assert_eq!(with.verify(Some(stranger.verifier()), &[]).findings[0].place, "key");
}

#[test]
fn what_was_erased_is_proven_as_a_commitment() {
    let dir = trail(&[10, 20]);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    let due = Retention::open(dir.path(), &KEY).unwrap().due(Class::Mail, at(12)).unwrap();
    let told = Record::new(at(31), due.event());
    let line = String::from_utf8(told.to_json().unwrap()).unwrap() + "\n";
    trail.append("store-1", &[(31, &line)], at(31)).unwrap();
    assert_eq!(trail.settle().unwrap(), 8);
    drop(trail);
    let text = exported(dir.path(), Wanted::Period { since: at(0), until: at(10) }, &[]);
    let report = Bundle::parse(&text).unwrap().verify(Some(&verifier()), &[]);
    assert!(report.ok, "{:#?}", report.findings);
    assert_eq!((report.entries.len(), report.without_records()), (10, 7));
    assert!(report.does_not_prove().iter().any(|said| said.en.contains("7 entries without records")));
}

/// The commitment can be computed from record and salt: whoever has the bundle can black them out.
#[test]
fn a_record_that_was_blacked_out_is_not_called_erased() {
    let dir = trail(&[10, 20]);
    let text = exported(dir.path(), Wanted::Period { since: at(0), until: at(10) }, &[]);
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = value["entries"][3].as_object_mut().unwrap();
    let salt: ident::Fingerprint = entry["salt"].as_str().unwrap().parse().unwrap();
    let commitment = commitment(salt.as_bytes(), entry["records"].as_str().unwrap().as_bytes());
    entry.remove("records");
    entry.remove("salt");
    entry.insert("commitment".to_owned(), ident::Fingerprint::new(commitment).to_string().into());
    let bundle: Bundle = serde_json::from_value(value).unwrap();
    let report = bundle.verify(Some(&verifier()), &[]);
    assert!(report.ok, "{:#?}", report.findings);
    let said = report.does_not_prove();
    assert!(said.iter().any(|said| said.en.contains("withheld or erased") && said.fr.contains("retenu")), "{said:?}");
    assert_eq!(report.without_records(), 1);
}
