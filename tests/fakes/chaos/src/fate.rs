//! What becomes of a connection: a choice that a seed makes, so that a test that failed fails again.

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing happens to it.
    Served,
    /// It is closed before a byte went either way.
    Refused,
    /// It is closed after so many bytes of what is asked.
    AskingCut(u64),
    /// It is closed after so many bytes of what is answered, all of it having been asked.
    AnswerCut(u64),
}

impl Fate {
    /// Of the connection of this number; so many of a hundred are broken.
    pub(crate) fn of(seed: u64, connection: u64, percent: u64) -> Self {
        let random = |index: u64| mixed(seed ^ mixed(connection * 4 + index));
        if random(0) % 100 >= percent {
            return Self::Served;
        }
        match random(1) % 5 {
            0 => Self::Refused,
            // As often within a head as within a long body.
            1 | 2 => Self::AskingCut(random(2) % (1 << (random(3) % 21)) + 1),
            _ => Self::AnswerCut(random(2) % 400),
        }
    }
}

/// `SplitMix64`.
const fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_breaks_its_share_in_every_way_and_again() {
        let fates = |seed| (0..1000).map(|number| Fate::of(seed, number, 30)).collect::<Vec<_>>();
        let found = fates(7);
        assert_eq!(found, fates(7));
        assert_ne!(found, fates(8));
        let count = |is: fn(&Fate) -> bool| found.iter().filter(|fate| is(fate)).count();
        assert!((650..750).contains(&count(|fate| *fate == Fate::Served)));
        assert!(count(|fate| *fate == Fate::Refused) > 20);
        assert!(count(|fate| matches!(fate, Fate::AskingCut(_))) > 20);
        assert!(count(|fate| matches!(fate, Fate::AnswerCut(_))) > 20);
        assert!((0..1000).all(|number| Fate::of(7, number, 100) != Fate::Served));
    }
}
