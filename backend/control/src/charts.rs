//! What this process remembers of the instances it looks after; all of it can be lost.

use crate::crash_loop::Falls;
use crate::repair::{READY, RECOVERING};
use crate::sessions::Sessions;
use berth_domain::{InstanceId, Observed, Timestamp};
use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::sync::{Mutex, PoisonError};

/// What this process remembers of each instance it looks after; all of it can be lost.
#[derive(Default)]
pub(crate) struct Charts(Mutex<BTreeMap<InstanceId, Chart>>);

/// What is remembered of one instance.
#[derive(Default)]
pub(crate) struct Chart {
    /// Whether it was ensured since this process started, and is not yet due to be again.
    pub(crate) adopted: bool,
    /// Whether it was seen up since it went down last.
    pub(crate) up: bool,
    /// When it answered last.
    pub(crate) answered_at: Moment,
    /// When its figures were taken last.
    pub(crate) measured_at: Moment,
    /// What went wrong lately; most have had no trouble.
    trouble: Option<Box<Trouble>>,
    /// The open sessions of the host's administrator.
    pub(crate) sessions: Sessions,
}

/// A moment that was, or none, in as little room as a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment(Option<NonZeroI64>);

impl Moment {
    /// That moment; the very first there is counts as none.
    pub(crate) fn at(moment: Timestamp) -> Self {
        Self(NonZeroI64::new(moment.as_millis()))
    }

    pub(crate) fn get(self) -> Option<Timestamp> {
        self.0.map(|millis| Timestamp::from_millis(millis.get()))
    }
}

/// What went wrong with an instance lately.
#[derive(Default)]
pub(crate) struct Trouble {
    /// When it went down.
    pub(crate) falls: Falls,
    /// Repairs that failed in a row, and when the next may be tried.
    pub(crate) repairs: u32,
    pub(crate) repair_due: Option<Timestamp>,
}

impl Chart {
    /// Its trouble, where there is some.
    pub(crate) fn known_trouble(&self) -> Option<&Trouble> {
        self.trouble.as_deref()
    }

    /// Its trouble, from here on.
    pub(crate) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }
}

impl Charts {
    pub(crate) fn with<T>(&self, instance: &InstanceId, change: impl FnOnce(&mut Chart) -> T) -> T {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(charts.entry(instance.clone()).or_default())
    }

    /// Changes the chart of one that has been looked at before; none of another.
    pub(crate) fn with_known<T>(
        &self,
        instance: &InstanceId,
        change: impl FnOnce(&mut Chart) -> T,
    ) -> Option<T> {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        charts.get_mut(instance).map(change)
    }

    /// It is as its row says: somebody has just made it so.
    pub(crate) fn sound(&self, instance: &InstanceId) {
        self.with(instance, |chart| {
            chart.adopted = true;
            chart.up = true;
            if let Some(trouble) = chart.trouble.as_mut() {
                trouble.repairs = 0;
                trouble.repair_due = None;
            }
        });
    }

    /// What is to be told of it while it answers: that it is ready, or that it went down too
    /// often lately to be believed.
    pub(crate) fn told_up(
        &self,
        instance: &InstanceId,
        now: Timestamp,
    ) -> (Observed, &'static str) {
        let verdict = self.with(instance, |chart| chart.known_trouble()?.falls.verdict(now));
        match verdict {
            None => (Observed::Ready, READY),
            Some(reason) => (Observed::Failed { reason }, RECOVERING),
        }
    }

    /// An operation has just made it as its row says; its size is to be judged anew.
    pub(crate) fn changed(&self, instance: &InstanceId) {
        self.sound(instance);
        self.with(instance, |chart| chart.measured_at = Moment::default());
    }

    /// It may differ from its row: the next visit ensures it again.
    pub(crate) fn distrust(&self, instance: &InstanceId) {
        // Of one that has no chart nothing is believed anyway.
        self.with_known(instance, |chart| chart.adopted = false);
    }

    /// It is not looked after any more.
    pub(crate) fn forget(&self, instance: &InstanceId) {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        charts.remove(instance);
    }
}
