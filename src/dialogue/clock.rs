//! Times and days as the chat page writes them, in the computer's time zone.
//!
//! In: seconds since 1970. Out: text.

use fluent_bundle::FluentValue;
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

use crate::i18n::Locale;

/// That moment here.
pub fn local(unix_s: i64) -> Zoned {
    let moment = Timestamp::from_second(unix_s).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(TimeZone::system())
}

/// `9:05`.
pub fn time_of_day(at: &Zoned) -> String {
    format!("{}:{:02}", at.hour(), at.minute())
}

/// `Today`, `Yesterday` or a date, in the words of `locale`.
pub fn day_name(day: Date, today: Date, locale: &Locale) -> String {
    if day == today {
        return locale.text("day-today");
    }
    if today.yesterday().is_ok_and(|d| d == day) {
        return locale.text("day-yesterday");
    }
    let month = locale.text(&format!("month-{}", day.month()));
    let number = |n: i16| FluentValue::from(n.to_string());
    locale.with(
        "day-date",
        [("day", number(day.day().into())), ("month", month.into()), ("year", number(day.year()))],
    )
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::brain::protocol::Language;

    fn check(language: Language, day: Date, expected: &str) {
        let locale = Locale::new(language);
        assert_eq!(day_name(day, date(2026, 3, 1), &locale), expected);
    }

    #[test]
    fn days_have_names() {
        check(Language::English, date(2026, 3, 1), "Today");
        check(Language::English, date(2026, 2, 28), "Yesterday");
        check(Language::English, date(2026, 2, 7), "7 February 2026");
        check(Language::Japanese, date(2026, 2, 7), "2026年2月7日");
    }
}
