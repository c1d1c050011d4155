//! The addresses that builds get, two each.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// Where nobody named a range: the first of these that the host does not route elsewhere.
pub(crate) const CANDIDATES: [Range; 5] = [
    Range::new([10, 213, 0, 0], 16),
    Range::new([10, 87, 0, 0], 16),
    Range::new([172, 30, 128, 0], 17),
    Range::new([100, 127, 0, 0], 16),
    Range::new([198, 18, 0, 0], 16),
];

/// What every interface of ours on the host begins with.
pub(crate) const PREFIX: &str = "runspan";

/// A block of IPv4 addresses, as in `10.213.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u32,
    bits: u8,
}

/// Not a block of addresses that builds could be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRangeError(String);

impl Range {
    const fn new(first: [u8; 4], bits: u8) -> Self {
        Self { first: u32::from_be_bytes(first), bits }
    }

    /// A block around an address; for what a routing table says, which may be of any size.
    pub(crate) fn around(address: Ipv4Addr, bits: u8) -> Self {
        Self { first: address.to_bits() & mask(bits), bits }
    }

    pub(crate) const fn bits(self) -> u8 {
        self.bits
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.bits.min(other.bits));
        self.first & mask == other.first & mask
    }

    /// How many builds it has addresses for.
    pub(crate) const fn slots(self) -> u32 {
        1 << (31 - self.bits)
    }

    pub(crate) fn slot(self, number: u32) -> Slot {
        let gateway = self.first + 2 * (number % self.slots());
        Slot {
            interface: format!("{PREFIX}{}", number % self.slots()),
            gateway: gateway.into(),
            address: (gateway + 1).into(),
        }
    }
}

const fn mask(bits: u8) -> u32 {
    match bits {
        0 => 0,
        bits => u32::MAX << (32 - bits),
    }
}

/// One build's share. The kernel allows an interface's name once, and so decides between all who want a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) interface: String,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) address: Ipv4Addr,
}

/// Whether an interface's name is one of ours.
pub(crate) fn is_ours(interface: &str) -> bool {
    let number = interface.strip_prefix(PREFIX).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.bits)
    }
}

impl FromStr for Range {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseRangeError(text.to_owned());
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let bits: u8 = bits.parse().map_err(|_| wrong())?;
        let range = Self { first: address.to_bits(), bits };
        // Interfaces' names have room for the number of a slot, and a slot needs two addresses.
        match (8..=30).contains(&bits) && Self::around(address, bits) == range {
            true => Ok(range),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for ParseRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no range of addresses; write one as 10.213.0.0/16, between /8 and /30", self.0)
    }
}

impl std::error::Error for ParseRangeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_is_read_and_written() {
        assert_eq!(range("10.213.0.0/16").to_string(), "10.213.0.0/16");
        assert_eq!(range("10.213.0.0/16"), CANDIDATES[0]);
        for wrong in
            ["", "10.213.0.0", "10.213.0.0/33", "10.213.0.1/16", "10.0.0.0/7", "fd00::/16", "10.0.0.0/31"]
        {
            let error = wrong.parse::<Range>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{wrong}` is no range")), "{error}");
        }
    }

    #[test]
    fn ranges_overlap_where_one_holds_the_other() {
        let ten = range("10.213.0.0/16");
        for other in ["10.0.0.0/8", "10.213.4.0/24", "10.213.0.0/16"] {
            assert!(ten.overlaps(range(other)) && range(other).overlaps(ten), "{other}");
        }
        assert!(!ten.overlaps(range("10.212.0.0/16")));
        assert!(ten.overlaps(Range::around(Ipv4Addr::UNSPECIFIED, 0)));
        assert!(!ten.overlaps(Range::around(Ipv4Addr::new(10, 214, 0, 1), 32)));
    }

    #[test]
    fn slots_share_no_address() {
        let small = range("10.213.0.0/29");
        assert_eq!(small.slots(), 4);
        let all: Vec<_> = (0..4).map(|number| small.slot(number)).collect();
        assert_eq!(all[1].interface, "runspan1");
        let mut addresses: Vec<_> = all.iter().flat_map(|slot| [slot.gateway, slot.address]).collect();
        addresses.dedup();
        assert_eq!(addresses.len(), 8);
        assert_eq!(addresses.last(), Some(&Ipv4Addr::new(10, 213, 0, 7)));
        assert_eq!(small.slot(5), small.slot(1));
        // An interface's name has at most 15 bytes.
        assert!(range("10.0.0.0/8").slot(u32::MAX).interface.len() <= 15);
    }

    #[test]
    fn only_our_names_are_ours() {
        assert!(is_ours("runspan0") && is_ours("runspan32767"));
        assert!(!is_ours("runspan") && !is_ours("runspan-x") && !is_ours("eth0") && !is_ours("runspan1a"));
    }
}
