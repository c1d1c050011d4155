//! The crate as others use it.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod groovy;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod real;
