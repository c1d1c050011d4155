//! Numbers as text, the way the reference engine's runtime has them.

/// The number that a text stands for; NaN when it is none.
pub(super) fn parse(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    match text {
        "Infinity" | "+Infinity" => return f64::INFINITY,
        "-Infinity" => return f64::NEG_INFINITY,
        _ => {}
    }
    // Words such as `inf` and `nan`, which Rust knows, are none.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

/// Within 32 bits, the upper half being negative: so does the runtime read them.
fn radix(digits: &str, radix: u32) -> f64 {
    if digits.starts_with('+') {
        return f64::NAN;
    }
    u32::from_str_radix(digits, radix).map_or(f64::NAN, |number| f64::from(number.cast_signed()))
}

/// The shortest text of at most 15 significant digits.
pub(super) fn format(number: f64) -> String {
    const DIGITS: i32 = 15;
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    if number == 0.0 {
        return "0".into();
    }
    let scientific = format!("{:.14e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    let sign = if number < 0.0 { "-" } else { "" };
    let length = i32::try_from(digits.len()).unwrap_or(DIGITS);
    if !(-4..DIGITS).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{dot}{rest}E{mark}{:02}", exponent.abs());
    }
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", zeros(-exponent - 1));
    }
    if length <= exponent + 1 {
        return format!("{sign}{digits}{}", zeros(exponent + 1 - length));
    }
    let (whole, part) = digits.split_at(usize::try_from(exponent + 1).unwrap_or(0));
    format!("{sign}{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn numbers_are_written_with_15_digits() {
        for (number, text) in [
            (1e15, "1E+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (0.1 + 0.2, "0.3"),
            (-0.0, "0"),
            (0.000_1, "0.0001"),
            (0.000_01, "1E-05"),
            (-1.5e-7, "-1.5E-07"),
            (100.0, "100"),
            (1e300, "1E+300"),
        ] {
            assert_eq!(format(number), text);
        }
    }

    #[test]
    fn text_is_a_number_or_not() {
        for (text, number) in [
            ("", 0.0),
            (" -1.5e3 ", -1500.0),
            ("0xff", 255.0),
            ("0xffffffff", -1.0),
            ("0o17", 15.0),
            ("-Infinity", f64::NEG_INFINITY),
            ("5.", 5.0),
        ] {
            assert_eq!(parse(text), number, "{text}");
        }
        for text in ["1,000", "inf", "nan", "0x", "0x1ffffffff", "-0xff", "1e", "--1", "0x+1", "ab"] {
            assert!(parse(text).is_nan(), "{text}");
        }
    }
}
