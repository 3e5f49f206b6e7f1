//! Axes of a plot: where a value is on them, and at which round numbers they have ticks.

use super::figure::round;

/// How a value becomes a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Equal steps from 0, to a round number.
    Linear,
    /// The same for what is counted: no parts of 1.
    Count,
    /// Equal steps from 0, no farther than the values.
    Time,
    /// Tenfold steps.
    Log,
    /// Percentiles: 90, 99, 99.9 are equally far from each other.
    Percentile,
}

/// What an axis spans, in places before they are scaled to the paper.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Where it has ticks, 0 to 1, and what they say.
    pub(super) ticks: Vec<(f64, String)>,
}

/// The least value on a logarithmic axis.
const LEAST: f64 = 1e-3;
/// Where 100 is on an axis of percentiles, on which 99.99 is at 4: no farther.
const HUNDRED: f64 = 4.6;

impl Axis {
    /// An axis for these values, with about so many ticks; none for no values.
    pub(super) fn over(
        scale: Scale,
        values: impl Iterator<Item = f64>,
        wanted: u32,
    ) -> Option<Self> {
        let mut span: Option<(f64, f64)> = None;
        for value in values.filter(|value| value.is_finite()) {
            let (low, high) = span.unwrap_or((value, value));
            span = Some((low.min(value), high.max(value)));
        }
        let (low, high) = span?;
        let (low, high, ticks) = match scale {
            Scale::Linear | Scale::Count | Scale::Time => linear(scale, high, wanted),
            Scale::Log => log(low, high, wanted),
            Scale::Percentile => percentiles(),
        };
        let mut axis = Self {
            scale,
            low: warp(scale, low),
            high: warp(scale, high),
            ticks: Vec::new(),
        };
        axis.ticks = ticks
            .into_iter()
            .map(|tick| (axis.place(tick), round(tick)))
            .collect();
        Some(axis)
    }

    /// Where a value is, 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = (warp(self.scale, value) - self.low) / (self.high - self.low);
        place.clamp(0.0, 1.0)
    }
}

fn warp(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear | Scale::Count | Scale::Time => value,
        Scale::Log => value.max(LEAST).log10(),
        Scale::Percentile => (-(1.0 - value.clamp(0.0, 100.0) / 100.0).log10()).min(HUNDRED),
    }
}

/// Low end, high end, ticks.
type Span = (f64, f64, Vec<f64>);

fn linear(scale: Scale, high: f64, wanted: u32) -> Span {
    let high = if high > 0.0 { high } else { 1.0 };
    let raw = high / f64::from(wanted);
    let tenth = 10_f64.powf(raw.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * tenth);
    let step = steps
        .into_iter()
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(tenth * 10.0);
    let step = step.max(if scale == Scale::Count { 1.0 } else { 0.0 });
    let whole = (high / step - 1e-9).ceil() * step;
    let end = if scale == Scale::Time { high } else { whole };
    let ticks = (0..=2 * wanted).map(|tick| f64::from(tick) * step);
    let ticks = ticks.take_while(|tick| *tick <= end * 1.000_001);
    (0.0, end, ticks.collect())
}

fn log(low: f64, high: f64, wanted: u32) -> Span {
    let round = |(step, exponent): (f64, i32)| step * 10_f64.powi(exponent);
    let all = (-3..=12).flat_map(|exponent| [1.0, 2.0, 5.0].map(|step| (step, exponent)));
    let all: Vec<_> = all.collect();
    // A line along the edge would be taken for the axis.
    let (low, high) = (low.max(LEAST) * 0.85, high.max(LEAST * 2.0) * 1.05);
    let below = all
        .iter()
        .copied()
        .map(round)
        .take_while(|tick| *tick <= low)
        .last();
    let above = all.iter().copied().map(round).find(|tick| *tick >= high);
    let (low, high) = (below.unwrap_or(LEAST), above.unwrap_or(high));
    let within: Vec<_> = all
        .into_iter()
        .filter(|tick| (low * 0.999..=high * 1.001).contains(&round(*tick)))
        .collect();
    let most = usize::try_from(wanted).unwrap_or(usize::MAX);
    let fits = within.len() <= most + most / 2;
    let ticks = within.into_iter().filter(|(step, _)| fits || *step < 1.5);
    (low, high, ticks.map(round).collect())
}

fn percentiles() -> Span {
    let ticks = vec![0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0];
    (0.0, 100.0, ticks)
}
