//! What a run does: how much of what is sent when, and what fails meanwhile. A scenario is a YAML
//! file; those that are shipped are in `loadtest/scenarios`.

use std::fs;
use std::path::Path;

use loadtest::embedded_broker::Condition;
use serde::Deserialize;

use super::objectives::Objectives;
use crate::Failed;

/// The scenarios that are shipped.
const SHIPPED: [(&str, &str); 10] = [
    ("steady", include_str!("../../scenarios/steady.yaml")),
    ("ramp", include_str!("../../scenarios/ramp.yaml")),
    ("spike", include_str!("../../scenarios/spike.yaml")),
    ("outage", include_str!("../../scenarios/outage.yaml")),
    ("slow-sink", include_str!("../../scenarios/slow-sink.yaml")),
    (
        "duplicates",
        include_str!("../../scenarios/duplicates.yaml"),
    ),
    ("large", include_str!("../../scenarios/large.yaml")),
    ("webhooks", include_str!("../../scenarios/webhooks.yaml")),
    (
        "cold-start",
        include_str!("../../scenarios/cold-start.yaml"),
    ),
    (
        "hot-subject",
        include_str!("../../scenarios/hot-subject.yaml"),
    ),
];

/// A scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Its name in a report.
    #[serde(skip)]
    pub(crate) name: String,
    /// What it is, in a sentence.
    pub(crate) about: String,
    /// How long events are sent, seconds.
    pub(crate) seconds: u32,
    /// How many, when.
    pub(crate) rate: Rate,
    /// What they are.
    #[serde(default)]
    pub(crate) load: Load,
    /// Part of the events that come as webhooks, 0 to 1; the others come over Kafka.
    #[serde(default)]
    pub(crate) webhooks: f64,
    /// goldwire is started only when all events were sent.
    #[serde(default)]
    pub(crate) backlog: bool,
    /// What happens to the sinks' side; only with embedded parts.
    #[serde(default)]
    pub(crate) trouble: Vec<Trouble>,
    /// What has to be reached.
    #[serde(default)]
    pub(crate) objectives: Objectives,
}

/// Events a second over time. The schedule is fixed: a system that is slow does not slow it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Rate {
    /// The same all the time.
    Steady {
        /// Events a second.
        per_second: f64,
    },
    /// Rises in equal steps.
    Ramp {
        /// Of the first step.
        from: f64,
        /// Of the last step.
        to: f64,
        /// Steps.
        steps: u32,
        /// The first step that misses the objectives is the last one.
        #[serde(default)]
        stop_when_missed: bool,
    },
    /// A steady rate, and many times that for a while.
    Spike {
        /// Events a second outside of it.
        per_second: f64,
        /// So many times that in it.
        times: f64,
        /// When it begins, seconds.
        at: u32,
        /// How long it lasts, seconds.
        lasts: u32,
    },
    /// As fast as they are taken; latency then counts from the moment of sending.
    Unlimited {
        /// So many in all, unless the time is over before.
        events: u64,
    },
}

/// What the events are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Load {
    /// Subjects.
    pub(crate) entities: u32,
    /// How unequal their parts are: the exponent of Zipf's law, 0 for equal ones.
    pub(crate) skew: f64,
    /// Bytes of half of the bodies, at most.
    pub(crate) median_bytes: u32,
    /// Standard deviation of the logarithm of the bytes: 0 for one size, 0.5 for a long tail.
    pub(crate) spread: f64,
    /// Bytes of the largest.
    pub(crate) largest_bytes: u32,
    /// Part of the events that are copies of earlier ones.
    pub(crate) copies: f64,
    /// Part of the events that come after a newer one of their subject.
    pub(crate) late: f64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            entities: 20_000,
            skew: 0.8,
            median_bytes: 1500,
            spread: 0.5,
            largest_bytes: 100_000,
            copies: 0.05,
            late: 0.02,
        }
    }
}

/// Something that happens to the sinks' broker.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trouble {
    /// When, seconds.
    pub(crate) at: u32,
    /// How long, seconds.
    pub(crate) lasts: u32,
    /// What.
    pub(crate) sinks: Condition,
}

impl Scenario {
    /// A shipped one, or the file of that name.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub(crate) fn find(name: &str) -> Result<Self, Failed> {
        let shipped = SHIPPED.iter().find(|(known, _)| *known == name);
        if let Some((_, text)) = shipped {
            return Self::read(name, text);
        }
        let path = Path::new(name);
        if path.extension().is_none() {
            let known: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "no scenario {name:?}; there are {}; a file's name ends with .yaml",
                known.join(", ")
            )
            .into());
        }
        let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::read(&name, &text)
    }

    fn read(name: &str, text: &str) -> Result<Self, Failed> {
        let read = serde_saphyr::from_str::<Self>(text);
        let mut scenario = read.map_err(|error| format!("scenario {name}: {error}"))?;
        name.clone_into(&mut scenario.name);
        scenario
            .check()
            .map_err(|what| format!("scenario {name}: {what}"))?;
        Ok(scenario)
    }

    /// Those that are shipped: name, and what it is.
    pub(crate) fn shipped() -> impl Iterator<Item = Result<Self, Failed>> {
        SHIPPED.iter().map(|(name, text)| Self::read(name, text))
    }

    /// The text of a shipped one.
    pub(crate) fn text(name: &str) -> Option<&'static str> {
        let found = SHIPPED.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| *text)
    }

    /// The same for another time, or at another rate.
    ///
    /// # Errors
    /// What is out of bounds then.
    pub(crate) fn adapt(&mut self, seconds: Option<u32>, times: f64) -> Result<(), Failed> {
        if let Some(seconds) = seconds {
            self.seconds = seconds;
        }
        match &mut self.rate {
            Rate::Steady { per_second } | Rate::Spike { per_second, .. } => *per_second *= times,
            Rate::Ramp { from, to, .. } => {
                *from *= times;
                *to *= times;
            }
            Rate::Unlimited { .. } => {}
        }
        let checked = self.check();
        checked.map_err(|what| format!("scenario {}: {what}", self.name).into())
    }

    /// The same, whatever its steps reach.
    pub(crate) fn never_stop(&mut self) {
        if let Rate::Ramp {
            stop_when_missed, ..
        } = &mut self.rate
        {
            *stop_when_missed = false;
        }
    }

    /// Whether a ramp that stops by itself can be judged step by step.
    fn check_stop(&self, steps: u32) -> Result<(), String> {
        let what = "rate.ramp.stop_when_missed";
        if steps < 2 || self.seconds / steps < 2 {
            return Err(format!(
                "{what}: {steps} steps in {} s cannot be judged one by one; give at least 2 steps of at least 2 s each",
                self.seconds
            ));
        }
        if self.backlog || !self.trouble.is_empty() {
            return Err(format!(
                "{what}: with backlog or trouble a step misses for another reason than its rate; leave them out, or stop_when_missed"
            ));
        }
        Ok(())
    }

    /// What is out of bounds.
    fn check(&self) -> Result<(), String> {
        let part = |name: &str, value: f64| {
            let fits = (0.0..=1.0).contains(&value);
            fits.then_some(())
                .ok_or_else(|| format!("{name}: {value} is no part of all; give 0 to 1"))
        };
        part("webhooks", self.webhooks)?;
        part("load.copies", self.load.copies)?;
        part("load.late", self.load.late)?;
        if self.backlog && self.webhooks > 0.0 {
            return Err(
                "webhooks: nobody takes them while goldwire is not started; give 0, or no backlog"
                    .into(),
            );
        }
        if self.load.copies + 2.0 * self.load.late > 1.0 {
            return Err("load.copies and load.late: too many; a late event needs a newer one before it, so that copies and twice late are at most 1".into());
        }
        let positive = |name: &str, value: f64| {
            let fits = value.is_finite() && value > 0.0;
            fits.then_some(())
                .ok_or_else(|| format!("{name}: {value} is too little; give more than 0"))
        };
        positive("seconds", f64::from(self.seconds))?;
        positive("load.entities", f64::from(self.load.entities))?;
        if self.load.entities > 0x0fff_fffe {
            return Err(format!(
                "load.entities: {} is too many; give at most 268435454",
                self.load.entities
            ));
        }
        match self.rate {
            Rate::Steady { per_second } => positive("rate.steady.per_second", per_second)?,
            Rate::Ramp {
                from,
                to,
                steps,
                stop_when_missed,
            } => {
                positive("rate.ramp.from", from)?;
                positive("rate.ramp.to", to)?;
                positive("rate.ramp.steps", f64::from(steps))?;
                if steps > self.seconds {
                    return Err(format!(
                        "rate.ramp.steps: {steps} steps are shorter than a second; give fewer, or more seconds"
                    ));
                }
                if stop_when_missed {
                    self.check_stop(steps)?;
                }
            }
            Rate::Spike {
                per_second, times, ..
            } => {
                positive("rate.spike.per_second", per_second)?;
                positive("rate.spike.times", times)?;
            }
            Rate::Unlimited { .. } => {}
        }
        for (name, value) in [
            ("load.skew", self.load.skew),
            ("load.spread", self.load.spread),
        ] {
            if !(0.0..=10.0).contains(&value) {
                return Err(format!("{name}: {value}; give 0 to 10"));
            }
        }
        if self.load.median_bytes > self.load.largest_bytes || self.load.largest_bytes > 8 << 20 {
            return Err(
                "load.largest_bytes: give at least load.median_bytes, and at most 8388608".into(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shipped_scenario_can_be_read_by_its_name_and_says_what_it_is() {
        for (scenario, (name, _)) in Scenario::shipped().zip(SHIPPED) {
            let scenario = scenario.unwrap();
            assert_eq!(scenario.name, name);
            assert!(scenario.about.ends_with('.'), "{name}");
            assert_eq!(Scenario::find(name).unwrap(), scenario);
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_its_place_and_a_remedy() {
        let steady = "about: x\nseconds: 1\nrate: { steady: { per_second: 1 } }\n";
        assert!(Scenario::read("x", steady).is_ok());
        for (more, words) in [
            (
                "webhooks: 1.1\n",
                "webhooks: 1.1 is no part of all; give 0 to 1",
            ),
            (
                "load: { copies: 0.5, late: 0.3 }\n",
                "twice late are at most 1",
            ),
            ("load: { entities: 0 }\n", "load.entities: 0 is too little"),
            (
                "load: { median_bytes: 9, largest_bytes: 8 }\n",
                "load.largest_bytes",
            ),
            ("webhooks: 1\nbacklog: true\n", "give 0, or no backlog"),
            ("load: { copied: 0.5 }\n", "copied"),
        ] {
            let refused = Scenario::read("x", &format!("{steady}{more}")).unwrap_err();
            let refused = refused.to_string();
            assert!(
                refused.starts_with("scenario x: ") && refused.contains(words),
                "{refused}"
            );
        }
        let refused = Scenario::find("stedy").unwrap_err().to_string();
        assert!(refused.contains("there are steady, ramp"), "{refused}");
    }

    #[test]
    fn a_scenario_is_adapted_in_time_and_rate_and_checked_again() {
        let mut ramp = Scenario::find("ramp").unwrap();
        ramp.adapt(Some(60), 2.0).unwrap();
        assert_eq!(ramp.seconds, 60);
        let doubled = Rate::Ramp {
            from: 2000.0,
            to: 24_000.0,
            steps: 12,
            stop_when_missed: true,
        };
        assert_eq!(ramp.rate, doubled);
        let refused = ramp.adapt(Some(20), 1.0).unwrap_err().to_string();
        assert!(refused.contains("12 steps in 20 s cannot"), "{refused}");
        ramp.never_stop();
        ramp.adapt(Some(20), 1.0).unwrap();
        let refused = ramp.adapt(Some(5), 1.0).unwrap_err().to_string();
        assert!(refused.contains("give fewer, or more seconds"), "{refused}");
    }

    #[test]
    fn a_ramp_stops_only_where_its_steps_can_be_judged_one_by_one() {
        let ramp = |steps: u32, more: &str| {
            let text = format!(
                "about: x\nseconds: 9\nrate: {{ ramp: {{ from: 1, to: 2, steps: {steps}, stop_when_missed: true }} }}\n{more}"
            );
            Scenario::read("x", &text)
        };
        assert!(ramp(4, "").is_ok());
        for (steps, more, words) in [
            (1, "", "1 steps in 9 s cannot be judged"),
            (5, "", "give at least 2 steps of at least 2 s each"),
            (4, "backlog: true\n", "leave them out, or stop_when_missed"),
            (
                4,
                "trouble: [{ at: 1, lasts: 1, sinks: away }]\n",
                "leave them out",
            ),
        ] {
            let refused = ramp(steps, more).unwrap_err().to_string();
            let begin = "scenario x: rate.ramp.stop_when_missed: ";
            assert!(
                refused.starts_with(begin) && refused.contains(words),
                "{refused}"
            );
        }
    }
}
