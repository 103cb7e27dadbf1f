//! The users of a made-up shop.

use std::fmt::Write;

use polars::chunked_array::builder::StringChunkedBuilder;
use polars::prelude::{Column, DataFrame, IntoColumn};
use rand::Rng;
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use stagewright_contract::StageError;

use super::lists::{COUNTRIES, FIRST_NAMES, LAST_NAMES, STREET_KINDS, STREETS, TRAFFIC_SOURCES};
use super::{Stamps, Time, cumulated, frame, ids, pick};

/// The columns that tell who somebody is or where they live.
pub(super) const PERSONAL: [&str; 7] =
    ["first_name", "last_name", "email", "street_address", "postal_code", "latitude", "longitude"];

/// What purchases need to know about the users.
pub(super) struct People {
    /// Whether each is a man.
    pub(super) men: Vec<bool>,
    /// When each joined, in seconds since 1970-01-01 00:00 UTC.
    pub(super) joined: Vec<i64>,
}

/// Draws the users; also as a table.
pub(super) fn draw(
    count: u32,
    countries: Option<&[String]>,
    time: Time,
    rng: &mut Xoshiro256PlusPlus,
) -> Result<(People, DataFrame), StageError> {
    let rows = count as usize;
    let countries: Vec<_> = COUNTRIES
        .iter()
        .filter(|country| countries.is_none_or(|wanted| wanted.iter().any(|name| name == country.name)))
        .collect();
    let shares = cumulated(countries.iter().map(|country| country.share));
    let share = shares.last().copied().unwrap_or_default();
    let traffic = cumulated(TRAFFIC_SOURCES.iter().map(|(_, share)| *share));

    let text = |name: &str| StringChunkedBuilder::new(name.into(), rows);
    let (mut first_names, mut last_names, mut emails) = (text("first_name"), text("last_name"), text("email"));
    let (mut genders, mut states, mut streets) = (text("gender"), text("state"), text("street_address"));
    let (mut postal_codes, mut cities, mut lands) = (text("postal_code"), text("city"), text("country"));
    let mut sources = text("traffic_source");
    let mut created = Stamps::new("created_at", rows);
    let (mut ages, mut latitudes, mut longitudes) =
        (Vec::with_capacity(rows), Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut people = People { men: Vec::with_capacity(rows), joined: Vec::with_capacity(rows) };
    let mut written = String::new();
    for user in 1..=count {
        let man = rng.random_bool(0.5);
        let [women, men] = &FIRST_NAMES;
        let first = any(if man { men } else { women }, rng);
        let last = any(&LAST_NAMES, rng);
        first_names.append_value(first);
        last_names.append_value(last);
        written.clear();
        let _ = write!(written, "{first}{last}{user}@example.com");
        written.make_ascii_lowercase();
        emails.append_value(&written);
        ages.push(rng.random_range(12..=70i64));
        genders.append_value(if man { "M" } else { "F" });

        let at = pick(&shares, rng.random::<f64>() * share);
        let Some(country) = countries.get(at) else { continue };
        let (state, city, latitude, longitude) = any(country.cities, rng);
        states.append_value(state);
        written.clear();
        let _ = write!(written, "{} {} {}", rng.random_range(1..1000u32), any(&STREETS, rng), any(&STREET_KINDS, rng));
        streets.append_value(&written);
        written.clear();
        written.extend(country.postal_code.chars().map(|sign| match sign {
            '#' => char::from(b'0' + rng.random_range(0..10u8)),
            '@' => char::from(b'A' + rng.random_range(0..26u8)),
            other => other,
        }));
        postal_codes.append_value(&written);
        // TheLook does not know the city of 1 % of its users.
        cities.append_option((!rng.random_bool(0.01)).then_some(city));
        lands.append_value(country.name);
        latitudes.push(nearby(latitude, rng));
        longitudes.push(nearby(longitude, rng));
        let at = pick(&traffic, rng.random::<f64>() * 100.0);
        sources.append_option(TRAFFIC_SOURCES.get(at).map(|(source, _)| source));

        let joined = rng.random_range(time.start..time.end);
        created.push(Some(joined));
        people.men.push(man);
        people.joined.push(joined);
    }
    let table = frame(
        "users",
        rows,
        vec![
            ids("id", rows),
            first_names.finish().into_column(),
            last_names.finish().into_column(),
            emails.finish().into_column(),
            Column::new("age".into(), ages),
            genders.finish().into_column(),
            states.finish().into_column(),
            streets.finish().into_column(),
            postal_codes.finish().into_column(),
            cities.finish().into_column(),
            lands.finish().into_column(),
            Column::new("latitude".into(), latitudes),
            Column::new("longitude".into(), longitudes),
            sources.finish().into_column(),
            created.finish(),
        ],
    )?;
    Ok((people, table))
}

fn any<T: Copy + Default>(list: &[T], rng: &mut Xoshiro256PlusPlus) -> T {
    // A list of statics is never empty; the range just may not be.
    list.get(rng.random_range(0..list.len().max(1))).copied().unwrap_or_default()
}

/// Some kilometres around, to the seventh digit of a degree.
fn nearby(degrees: f64, rng: &mut Xoshiro256PlusPlus) -> f64 {
    let away: f64 = rng.sample(StandardNormal);
    ((degrees + 0.08 * away) * 1e7).round() / 1e7
}
