//! Numbers that survive: any integer, any decimal fraction, never rounded on the way through.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The largest power of ten, up or down, that a number may carry.
///
/// Text such as `1e999999999` is a few bytes that would unfold into a gigabyte of zeros.
const EXPONENT_MAX: i64 = 4_096;

/// The most significant digits a number may have.
const DIGITS_MAX: usize = 4_096;

/// A decimal number of any size, in one canonical form: equal numbers compare equal.
///
/// Nothing is narrowed in passing. [`Number::to_i64`] and [`Number::to_f64`] are views that
/// say when they cannot show the number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Repr);

/// `Small` holds every integer that fits, so a number has exactly one representation.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Small(i64),
    /// `digits × 10^exponent`; the digits begin and end with a digit other than zero.
    Big {
        negative: bool,
        digits: Box<str>,
        exponent: i32,
    },
}

/// Why text is not a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is not decimal digits with an optional sign, point and exponent.
    #[error("the text is not a decimal number")]
    Malformed,
    /// The number has more digits, or a larger exponent, than is accepted.
    #[error("the number has more than {DIGITS_MAX} digits or an exponent beyond {EXPONENT_MAX}")]
    TooLarge,
    /// Infinity or not-a-number, neither of which a configuration can hold.
    #[error("the number is not finite")]
    NotFinite,
}

impl Number {
    /// Reads a double as the shortest decimal that names it: the double nearest to 0.1 is 0.1.
    pub fn from_f64(value: f64) -> Result<Self, NumberError> {
        if !value.is_finite() {
            return Err(NumberError::NotFinite);
        }
        format!("{value:e}").parse()
    }

    /// The number as `i64`; none when it has a fraction or lies outside the range.
    pub fn to_i64(&self) -> Option<i64> {
        match self.0 {
            Repr::Small(value) => Some(value),
            Repr::Big { .. } => None,
        }
    }

    /// The number as `u64`; none when it is negative, has a fraction or lies outside the range.
    pub fn to_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(value) => u64::try_from(*value).ok(),
            Repr::Big { exponent: 0.., .. } => self.to_string().parse().ok(),
            Repr::Big { .. } => None,
        }
    }

    /// The double nearest to the number; none when it would be infinite.
    pub fn to_f64(&self) -> Option<f64> {
        self.scientific()
            .parse::<f64>()
            .ok()
            .filter(|f| f.is_finite())
    }

    /// Whether the number has no fraction.
    pub fn is_integer(&self) -> bool {
        match self.0 {
            Repr::Small(_) => true,
            Repr::Big { exponent, .. } => exponent >= 0,
        }
    }

    /// Sign, digits and exponent, whatever the representation; zero has the digits "0".
    fn parts(&self) -> (bool, std::borrow::Cow<'_, str>, i32) {
        match &self.0 {
            Repr::Small(value) => (*value < 0, value.unsigned_abs().to_string().into(), 0),
            Repr::Big {
                negative,
                digits,
                exponent,
            } => (*negative, (&**digits).into(), *exponent),
        }
    }

    fn scientific(&self) -> String {
        let (negative, digits, exponent) = self.parts();
        format!("{}{digits}e{exponent}", if negative { "-" } else { "" })
    }

    fn build(negative: bool, digits: &str, exponent: i64) -> Result<Self, NumberError> {
        let digits = digits.trim_start_matches('0');
        let trimmed = digits.trim_end_matches('0');
        if trimmed.is_empty() {
            return Ok(Self(Repr::Small(0)));
        }
        let dropped = (digits.len() - trimmed.len()) as i64;
        let exponent = exponent.saturating_add(dropped);
        if trimmed.len() > DIGITS_MAX || exponent.abs() > EXPONENT_MAX {
            return Err(NumberError::TooLarge);
        }
        if let Some(small) = small_integer(negative, trimmed, exponent) {
            return Ok(Self(Repr::Small(small)));
        }
        Ok(Self(Repr::Big {
            negative,
            digits: trimmed.into(),
            exponent: exponent as i32,
        }))
    }
}

fn small_integer(negative: bool, digits: &str, exponent: i64) -> Option<i64> {
    let power = u32::try_from(exponent).ok()?;
    let magnitude = digits.parse::<i128>().ok()?;
    let magnitude = magnitude.checked_mul(10_i128.checked_pow(power)?)?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !only_digits(whole) || !only_digits(fraction) {
            return Err(NumberError::Malformed);
        }
        let exponent = exponent.saturating_sub(fraction.len() as i64);
        if fraction.is_empty() {
            Self::build(negative, whole, exponent)
        } else {
            Self::build(negative, &format!("{whole}{fraction}"), exponent)
        }
    }
}

fn parse_exponent(text: &str) -> Result<i64, NumberError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::Malformed);
    }
    text.parse().map_err(|_| NumberError::TooLarge)
}

/// Plain decimal digits, without an exponent: the form in which numbers travel.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, digits, exponent) = self.parts();
        if negative {
            f.write_str("-")?;
        }
        if exponent >= 0 {
            f.write_str(&digits)?;
            return (0..exponent).try_for_each(|_| f.write_str("0"));
        }
        let places = exponent.unsigned_abs() as usize;
        if let Some(point) = digits.len().checked_sub(places).filter(|point| *point > 0) {
            return write!(f, "{}.{}", &digits[..point], &digits[point..]);
        }
        f.write_str("0.")?;
        (digits.len()..places).try_for_each(|_| f.write_str("0"))?;
        f.write_str(&digits)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a_negative, a_digits, a_exponent) = self.parts();
        let (b_negative, b_digits, b_exponent) = other.parts();
        let sign = |negative: bool, digits: &str| match (digits, negative) {
            ("0", _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let (a_sign, b_sign) = (sign(a_negative, &a_digits), sign(b_negative, &b_digits));
        if a_sign != b_sign || a_sign == 0 {
            return a_sign.cmp(&b_sign);
        }
        // With the first digit never zero, the place of that digit decides; then the digits
        // do, as text, since both begin at the same place.
        let a_place = a_digits.len() as i64 + i64::from(a_exponent);
        let b_place = b_digits.len() as i64 + i64::from(b_exponent);
        let trim = |digits: &str| digits.trim_end_matches('0').to_owned();
        let magnitude = a_place
            .cmp(&b_place)
            .then_with(|| trim(&a_digits).cmp(&trim(&b_digits)));
        if a_negative {
            magnitude.reverse()
        } else {
            magnitude
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! from_small_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            fn from(value: $integer) -> Self {
                Self(Repr::Small(i64::from(value)))
            }
        }
    )*};
}

from_small_integer!(i8, i16, i32, i64, u8, u16, u32);

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(small) => Self(Repr::Small(small)),
            Err(_) => {
                let text = value.to_string();
                let digits = text.trim_end_matches('0');
                Self(Repr::Big {
                    negative: false,
                    digits: digits.into(),
                    exponent: (text.len() - digits.len()) as i32,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn digits_survive() {
        for text in [
            "0",
            "-1",
            "9007199254740993",
            "123456789.123456789",
            "3.141592653589793238",
            "0.1",
            "0.0000001",
            "-0.30000000000000004",
            "18446744073709551615",
            "-9223372036854775808",
            "-9223372036854775809",
            "1000000000000000000000000000000",
        ] {
            assert_eq!(number(text).to_string(), text);
        }
    }

    #[test]
    fn every_spelling_of_a_number_is_that_number() {
        for (a, b) in [
            ("1e30", "1000000000000000000000000000000"),
            ("1.50", "1.5"),
            ("-0", "0"),
            ("+5", "5"),
            ("007", "7"),
            ("5e-1", "0.5"),
            ("120e-1", "12"),
            (".5", "0.5"),
            ("18446744073709551610", "1844674407370955161e1"),
        ] {
            assert_eq!(number(a), number(b), "{a} and {b}");
        }
        assert_eq!(Number::from(u64::MAX - 5), number("18446744073709551610"));
        assert_eq!(Number::from_f64(0.1), Ok(number("0.1")));
        assert_eq!(Number::from_f64(1e-7), Ok(number("0.0000001")));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", ".", "e5", "1e", "0x10", "1_000", "inf", "NaN", "1.2.3", "1e+-3",
        ] {
            assert_eq!(
                text.parse::<Number>(),
                Err(NumberError::Malformed),
                "{text}"
            );
        }
        for text in ["1e999999999", "1e-5000", "1e99999999999999999999"] {
            assert_eq!(text.parse::<Number>(), Err(NumberError::TooLarge), "{text}");
        }
        assert_eq!(Number::from_f64(f64::NAN), Err(NumberError::NotFinite));
    }

    #[test]
    fn numbers_are_ordered_by_size() {
        let sorted = [
            "-1e30",
            "-10",
            "-9.5",
            "-1",
            "-0.5",
            "0",
            "0.25",
            "0.5",
            "1",
            "9",
            "10",
            "100.5",
            "9007199254740993",
            "1e30",
        ];
        for pair in sorted.windows(2) {
            assert!(
                number(pair[0]) < number(pair[1]),
                "{} < {}",
                pair[0],
                pair[1]
            );
        }
    }

    #[test]
    fn views_refuse_what_they_cannot_show() {
        assert_eq!(number("1.5").to_i64(), None);
        assert_eq!(number("9223372036854775808").to_i64(), None);
        assert_eq!(number("9223372036854775808").to_u64(), Some(1 << 63));
        assert_eq!(number("-1").to_u64(), None);
        assert_eq!(number("1.5").to_f64(), Some(1.5));
        assert_eq!(number("1e400").to_f64(), None);
    }
}
