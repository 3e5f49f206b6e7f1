//! Made-up names and places, and identifiers of the shapes that Reltio and Salesforce use.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// First names.
pub(super) const FIRST: [&str; 16] = [
    "Ada",
    "Aiko",
    "Björn",
    "Chidi",
    "Dolores",
    "Emeka",
    "Fatima",
    "Grace",
    "Hana",
    "Ines",
    "João",
    "Katarzyna",
    "Liam",
    "Meera",
    "Noor",
    "Zoë",
];
/// Last names.
pub(super) const LAST: [&str; 16] = [
    "Andersson",
    "Bianchi",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "García",
    "Hughes",
    "Ivanova",
    "Jansen",
    "Kowalska",
    "López",
    "Müller",
    "Nakamura",
    "O'Neill",
    "Şahin",
];
/// Companies.
pub(super) const COMPANY: [&str; 12] = [
    "Alder", "Basalt", "Cinder", "Dune", "Ember", "Fjord", "Granite", "Harbor", "Isle", "Juniper",
    "Kelp", "Larch",
];
/// Endings of companies' names.
pub(super) const ENDING: [&str; 5] = ["GmbH", "Inc.", "Ltd", "S.A.", "& Sons"];
/// Streets.
pub(super) const STREET: [&str; 8] = [
    "Mill Lane",
    "Rue de la Paix",
    "Hauptstraße",
    "High Street",
    "Calle Mayor",
    "Via Roma",
    "Juneau Ave",
    "Elm Court",
];
/// Cities with a postal code and a country's code.
pub(super) const CITY: [(&str, &str, &str); 6] = [
    ("Leeds", "LS1 4AP", "GB"),
    ("Lyon", "69002", "FR"),
    ("Milwaukee", "53208", "US"),
    ("München", "80331", "DE"),
    ("Porto", "4050-253", "PT"),
    ("Torino", "10121", "IT"),
];
/// Job titles.
pub(super) const TITLE: [&str; 6] = [
    "Buyer",
    "Engineer",
    "Founder",
    "Head of Sales",
    "Nurse",
    "Director, R&D",
];

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// One of `list`, which is not empty.
pub(super) fn pick<T: Copy + Default>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list.choose(rng).copied().unwrap_or_default()
}

/// `length` letters and digits.
pub(super) fn id(rng: &mut ChaCha8Rng, length: usize) -> String {
    (0..length)
        .map(|_| char::from(pick(rng, ALPHANUMERIC)))
        .collect()
}

/// Digits, the first not zero.
pub(super) fn digits(rng: &mut ChaCha8Rng, length: usize) -> String {
    (0..length)
        .map(|place| char::from(rng.random_range(if place == 0 { b'1' } else { b'0' }..=b'9')))
        .collect()
}

/// A Salesforce Contact's id, 18 characters: the last three tell the case of the first fifteen, so
/// that ids survive systems that ignore case.
pub(super) fn salesforce_id(rng: &mut ChaCha8Rng) -> String {
    const CASES: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut text = format!("003{}", id(rng, 12));
    let suffix: String = text
        .as_bytes()
        .chunks(5)
        .filter_map(|five| {
            let upper = five
                .iter()
                .enumerate()
                .fold(0_usize, |bits, (place, byte)| {
                    bits | (usize::from(byte.is_ascii_uppercase()) << place)
                });
            CASES.get(upper).copied().map(char::from)
        })
        .collect();
    text.push_str(&suffix);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn a_salesforce_id_has_18_characters_and_tells_its_own_case() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..50 {
            let id = salesforce_id(&mut rng);
            assert_eq!(id.len(), 18);
            assert!(id.starts_with("003"));
            assert!(
                id.bytes()
                    .skip(15)
                    .all(|byte| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345".contains(&byte))
            );
        }
    }
}
