//! Lines with faults of every kind: none is lost, none stops the load.

use annuaire::{FileKind, build};
use proptest::prelude::*;

use crate::common::conserved;

/// Lines that look like rows, with faults of every kind in them.
fn row() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just(Vec::new()),
        Just(b"899700000001".to_vec()),
        Just(b"99700000001".to_vec()),
        Just(b"PER".to_vec()),
        Just(b"a@x.test".to_vec()),
        Just(b"20261102".to_vec()),
        "\\PC{0,8}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(field, 0..60).prop_map(|fields| fields.join(&b'|'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn readers_never_panic_and_every_row_is_accounted_for(
        files in proptest::collection::vec((any::<bool>(), proptest::collection::vec(row(), 0..12)), 5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (kind, (mark, rows)) in FileKind::ALL.into_iter().zip(&files) {
            let mut octets = if *mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
            octets.extend_from_slice(kind.columns().join("|").as_bytes());
            for row in rows {
                octets.push(b'\n');
                octets.extend_from_slice(row);
            }
            std::fs::write(folder.path().join(kind.file_name()), &octets).unwrap();
        }
        let (report, generation) = build(folder.path()).unwrap();
        conserved(&report);
        prop_assert!(!report.refused);
        let rows: u64 = report.files.iter().map(|file| file.refused).sum();
        prop_assert!(report.problems.len() as u64 >= rows);
        let generation = generation.unwrap();
        let data = folder.path().join("data");
        annuaire::load(folder.path(), &data, true).unwrap();
        prop_assert_eq!(&annuaire::DataFolder::new(&data).current().unwrap(), &generation);
        let totals = generation.totals();
        let kept: Vec<u64> = report.files.iter().map(|file| file.kept).collect();
        let counted = [totals.activities, totals.skills, totals.diplomas, totals.mailboxes, totals.cards];
        // Cards that are refused and opposed all the same are the one addition.
        prop_assert_eq!(&kept[..4], &counted.map(u64::from)[..4]);
        prop_assert!(u64::from(totals.cards) >= kept[4]);
    }

    #[test]
    fn any_octets_at_all_are_refused_or_ignored(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FileKind::Activities.file_name()), &octets).unwrap();
        if let Ok((report, generation)) = build(folder.path()) {
            prop_assert!(report.refused && generation.is_none());
        }
    }
}
