//! The crate as others use it.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod diagnostics;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod output;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod values;
