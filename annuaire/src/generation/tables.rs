//! The columns of a generation: fixed-width numbers over one arena of text, no object per row.

pub(crate) use super::column::{Column, NONE};

macro_rules! tables {
    ($($name:ident)*) => {
        /// All columns by name. Row `n` of a table is place `n` of each of its columns.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub(crate) struct Tables { $(pub(crate) $name: Column,)* }

        impl Tables {
            /// Every column with its name on disk, in a fixed order.
            pub(crate) fn columns(&self) -> Vec<(&'static str, &Column)> {
                vec![$((stringify!($name), &self.$name),)*]
            }

            /// The column with this name on disk.
            pub(crate) fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
                match name { $(stringify!($name) => Some(&mut self.$name),)* _ => None }
            }

            /// Puts every column at rest.
            pub(crate) fn pack(&mut self) {
                $(self.$name.pack();)*
            }
        }
    };
}

tables! {
    // People, sorted by national identifier. `*_starts` point into the table of that name.
    person_id person_family person_given person_civility person_title person_profession person_flags
    person_activity_starts person_skill_starts person_diploma_starts
    person_mailbox_starts person_mailboxes person_card_starts person_cards
    // Activities, sorted by person, in the order of the file. Coded values are `code|label`.
    activity_person activity_structure activity_profession activity_category activity_skill activity_mode
    activity_sector activity_section activity_function activity_kind activity_authority
    activity_hash_high activity_hash_low
    // Skills and diplomas, sorted by person.
    skill_profession skill_category skill_skill skill_hash_high skill_hash_low
    diploma_diploma diploma_authorisation diploma_discipline diploma_hash_high diploma_hash_low
    // Structures, sorted by key; the `by_` columns are structure rows sorted by that identifier.
    structure_key structure_finess structure_entity structure_siret structure_siren structure_technical
    structure_former structure_name structure_trade_name structure_recipient structure_place structure_street
    structure_mention structure_cedex structure_postcode structure_town structure_department structure_country
    structure_phone structure_phone2 structure_fax structure_email
    structure_by_finess structure_by_entity structure_by_siret structure_by_technical
    structure_activity_starts structure_activities structure_mailbox_starts structure_mailboxes
    // Mailboxes, sorted by folded address.
    mailbox_key mailbox_address mailbox_type mailbox_service mailbox_paperless mailbox_hash_high mailbox_hash_low
    mailbox_person_starts mailbox_people mailbox_structure_starts mailbox_structure_list
    // Cards, sorted by number. Days are AAAAMMJJ, 0 = none.
    card_number card_person card_kind card_from card_to card_opposed card_opposed_on card_updated
    card_hash_high card_hash_low
    // What left the data, sorted by kind and key.
    gone_kind gone_key gone_day
    // The word index (index.rs): of each dictionary entry its field and its two lists; the words of each row; the
    // order in which answers are shown.
    entry_field entry_people_starts entry_people_counts entry_place_starts entry_place_counts
    person_word_starts person_words structure_word_starts structure_words
    doc_person person_doc doc_structure structure_doc person_homonyms
}
