//! Alarms: stateful events that the gateway raises by itself, from a rule over one point.
//!
//! An alarm is an event among the points of a description, with a rule. The keeper says when its cause is present,
//! operators acknowledge and shelve, and the writer makes one truth of both: [`Twin::settle`].

use std::sync::Arc;

use crate::{
    ConditionState, Deadline, Event, EventInstance, Moment, Name, Order, Origin, PointSpec, Seq,
    TimeBase, Twin, Value, ValueType,
};

/// When an alarm is raised and cleared.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// The feature of the point that it watches.
    pub feature: Name,
    /// The name of the point that it watches.
    pub point: Name,
    /// What is wrong with the point while the cause is present.
    pub when: Condition,
    /// 1 (nothing) to 1000 (worst).
    pub severity: u16,
    /// The cause has to be present for so many microseconds before the alarm is raised.
    pub delay: i64,
    /// It has to be gone for so many microseconds before the alarm is cleared.
    pub clear_delay: i64,
    /// It stands until somebody has acknowledged it, also when its cause is gone.
    pub acknowledge: bool,
    /// What an operator reads.
    pub text: Arc<str>,
}

/// What can be wrong with a point. Numbers are in its unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// It is greater than `limit`; it is well again at `limit - hysteresis` or less.
    Above {
        /// The limit.
        limit: f64,
        /// How far it has to come back.
        hysteresis: f64,
    },
    /// It is less than `limit`; it is well again at `limit + hysteresis` or more.
    Below {
        /// The limit.
        limit: f64,
        /// How far it has to come back.
        hysteresis: f64,
    },
    /// One of these bits of a whole number is set.
    Bits(u64),
    /// It is one of these numbers.
    Is(Arc<[f64]>),
    /// It moved by more than `change` within the last `time` microseconds, up or down.
    Rate {
        /// How far.
        change: f64,
        /// Within which time.
        time: i64,
    },
    /// It had no good value for so many microseconds.
    Stale(i64),
}

impl Condition {
    /// Whether the value alone shows that the cause is present; `None` where it does not show it. `active`: it was
    /// present before.
    #[must_use]
    pub fn shows(&self, of: &ValueType, value: &Value, active: bool) -> Option<bool> {
        let number = || value.as_f64(of).filter(|number| !number.is_nan());
        match self {
            Self::Above { limit, hysteresis } => {
                let limit = if active { limit - hysteresis } else { *limit };
                Some(number()? > limit)
            }
            Self::Below { limit, hysteresis } => {
                let limit = if active { limit + hysteresis } else { *limit };
                Some(number()? < limit)
            }
            Self::Bits(mask) => match value {
                Value::Unsigned(bits) => Some(bits & mask != 0),
                Value::Signed(bits) => Some(bits.cast_unsigned() & mask != 0),
                _ => None,
            },
            Self::Is(codes) => {
                let number = number()?;
                Some(codes.contains(&number))
            }
            Self::Rate { .. } | Self::Stale(_) => None,
        }
    }

    /// What the point is while the cause is present, for people: `is above 90 Cel`.
    #[must_use]
    pub fn words(&self, point: &PointSpec) -> String {
        let unit = point.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        match self {
            Self::Above { limit, .. } => format!("is above {limit}{unit}"),
            Self::Below { limit, .. } => format!("is below {limit}{unit}"),
            Self::Bits(mask) => format!("has one of the bits {mask:#x} set"),
            Self::Is(codes) if point.value_type == ValueType::Bool => {
                format!("is {}", if codes.contains(&1.0) { "on" } else { "off" })
            }
            Self::Is(codes) => {
                let label = |code: &f64| {
                    let code = code.to_string();
                    let named = point.labels.iter().find(|(raw, _)| raw.to_string() == code);
                    named.map_or(code, |(_, label)| label.to_string())
                };
                let codes: Vec<String> = codes.iter().map(label).collect();
                format!("is {}{unit}", codes.join(" or "))
            }
            Self::Rate { change, time } => {
                format!("moved by more than {change}{unit} within {}", seconds(*time))
            }
            Self::Stale(time) => format!("had no good value for {}", seconds(*time)),
        }
    }
}

/// A time for people, to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "shown with three decimals at most")]
fn seconds(micros: i64) -> String {
    format!("{} s", (micros / 1_000) as f64 / 1e3)
}

/// An alarm that somebody has to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// What was said of it last.
    pub event: Event,
    /// The commit that said so.
    pub seq: Seq,
    /// The commit that raised it, or shelved it before it was raised, and when that occurred.
    pub raised: (Seq, TimeBase),
}

/// What an operator does about an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Care {
    /// It was seen: this occurrence, or the one that stands.
    Acknowledge(Option<EventInstance>),
    /// It is silenced for so many microseconds; 0 ends that.
    Shelve(i64),
}

impl Care {
    /// As the order of a command for the alarm's index. Shelving is in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "bounded by the longest shelving")]
    pub fn order(&self) -> Order {
        Order::Call(match self {
            Self::Acknowledge(instance) => instance.clone().map(Value::Bytes),
            Self::Shelve(micros) => Some(Value::Float(*micros as f64 / 1e6)),
        })
    }

    /// What such an order asks for.
    ///
    /// # Errors
    /// What it should have been.
    pub fn of(order: &Order) -> Result<Self, String> {
        match order {
            Order::Call(None) => Ok(Self::Acknowledge(None)),
            Order::Call(Some(Value::Bytes(instance))) => {
                Ok(Self::Acknowledge(Some(instance.clone())))
            }
            #[expect(clippy::cast_possible_truncation, reason = "bounded on both sides")]
            Order::Call(Some(Value::Float(seconds)))
                if (0.0..=Self::LONGEST as f64 / 1e6).contains(seconds) =>
            {
                Ok(Self::Shelve((seconds * 1e6) as i64))
            }
            Order::Call(Some(Value::Float(_))) => {
                Err("an alarm is shelved for 30 days at the longest".into())
            }
            _ => Err("an alarm is acknowledged or shelved".into()),
        }
    }

    /// The longest shelving, in microseconds: 30 days.
    pub const LONGEST: i64 = 30 * 86_400_000_000;
}

impl Twin {
    /// The rule of the alarm with this index; `None` where it is no alarm.
    #[must_use]
    pub fn rule(&self, index: u16) -> Option<&Alarm> {
        self.description().point(index).filter(|point| !point.retired)?.spec.rules.alarm.as_deref()
    }

    /// The event that `care` comes to, for [`Twin::settle`].
    ///
    /// # Errors
    /// Why nothing can be done, in words.
    pub fn care(&self, index: u16, care: &Care, now: Moment) -> Result<Event, String> {
        let Some(point) = self.description().point(index).filter(|_| self.rule(index).is_some())
        else {
            return Err(format!("{} has no alarm with index {index}", self.id()));
        };
        let name = format!("{}/{}/{}", self.id(), point.spec.feature, point.spec.name);
        let standing = self.alarms().get(&index);
        let mut event = match standing {
            Some(standing) => standing.event.clone(),
            None => Event {
                index,
                instance: Arc::default(),
                severity: 0,
                state: ConditionState { acknowledged: true, ..ConditionState::default() },
                occurred: TimeBase::gateway(now.boottime),
                text: Arc::default(),
                fields: None,
                until: None,
            },
        };
        event.occurred = TimeBase::gateway(now.boottime);
        match care {
            Care::Acknowledge(seen) => {
                let Some(standing) = standing else {
                    return Err(format!("{name} does not stand: there is nothing to acknowledge"));
                };
                if seen.as_ref().is_some_and(|seen| *seen != standing.event.instance) {
                    return Err(format!(
                        "{name} was raised again since: another occurrence stands"
                    ));
                }
                event.state.acknowledged = true;
            }
            Care::Shelve(0) if standing.is_none_or(|standing| standing.event.until.is_none()) => {
                return Err(format!("{name} is not shelved"));
            }
            Care::Shelve(micros) => {
                event.until = (*micros > 0).then(|| Deadline::after(now, *micros));
            }
        }
        Ok(event)
    }

    /// Makes what somebody says of an alarm agree with what others said meanwhile: only the keeper says whether its
    /// cause is present, only operators acknowledge and shelve. `false` where nothing is left to be said.
    ///
    /// An event that is no alarm of ours stays as its source says it.
    ///
    /// # Errors
    /// What contradicts the model, in words.
    pub fn settle(&self, origin: &Origin, event: &mut Event, now: Moment) -> Result<bool, String> {
        let Some(rule) = self.rule(event.index) else { return Ok(true) };
        let known = self.alarms().get(&event.index).map(|standing| &standing.event);
        let was = known
            .map(|known| known.state)
            .unwrap_or(ConditionState { acknowledged: true, ..ConditionState::default() });
        let until = match origin {
            Origin::Keeper => {
                if event.state.active && !was.active {
                    event.state.acknowledged = !rule.acknowledge;
                } else {
                    event.state.acknowledged = was.acknowledged;
                    event.instance = known.map(|known| known.instance.clone()).unwrap_or_default();
                }
                known.and_then(|known| known.until)
            }
            Origin::Principal(_) => {
                if known.is_some_and(|known| known.instance != event.instance) {
                    return Err("the alarm was raised again since".into());
                }
                event.state.active = was.active;
                event.state.acknowledged |= was.acknowledged;
                event.until
            }
            _ => return Err("an alarm of the gateway is not said by others".into()),
        };
        event.until = until.filter(|until| !until.passed(now));
        let planned = self.maintenance().is_some_and(|maintenance| maintenance.lasts(now));
        // Planned work silences what stands; what is well needs no silence.
        let stands = event.state.active || !event.state.acknowledged;
        event.state.shelved = event.until.is_some() || (planned && stands);
        event.severity = rule.severity;
        Ok(was != event.state || known.and_then(|known| known.until) != event.until)
    }

    /// Keeps what was said of an event that has a state; forgets it when nobody has to look at it any more.
    pub(crate) fn stand(&mut self, seq: Seq, event: &Event) {
        let known = self.alarms.get(&event.index);
        let state = event.state;
        let stands = state.active || state.shelved || (known.is_some() && !state.acknowledged);
        if !stands {
            if self.alarms.remove(&event.index).is_some() {
                self.alarmed = seq;
            }
            return;
        }
        self.alarmed = seq;
        let raised = known
            .filter(|known| known.event.instance == event.instance)
            .map_or((seq, event.occurred), |known| known.raised);
        self.alarms.insert(event.index, Standing { event: event.clone(), seq, raised });
    }
}
