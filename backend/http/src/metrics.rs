//! Counters in Prometheus' text format. Labels come from the table of routes and from the known
//! methods, so their number is bounded whatever is sent.

use axum::http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of durations, in milliseconds.
const BUCKETS_MILLIS: [u64; 8] = [5, 10, 25, 50, 100, 500, 2_500, 30_000];

#[derive(Default)]
struct Series {
    by_status: BTreeMap<u16, u64>,
    buckets: [u64; BUCKETS_MILLIS.len()],
    count: u64,
    sum_seconds: f64,
}

/// What was served since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    series: Mutex<BTreeMap<(&'static str, String), Series>>,
}

/// Numbers at this moment.
pub(crate) struct Gauge {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    /// Each after its labels, in braces; the only one has none.
    pub(crate) values: Vec<(String, u64)>,
}

/// A method as a label. A client may make up words, so unknown ones share a label.
fn label(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}

impl Metrics {
    /// Counts one answer. `path` is a route's, never a request's.
    pub(crate) fn count(&self, method: &Method, path: &str, status: StatusCode, took: Duration) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let one = series.entry((label(method), path.to_owned())).or_default();
        *one.by_status.entry(status.as_u16()).or_default() += 1;
        one.count += 1;
        one.sum_seconds += took.as_secs_f64();
        let millis = took.as_millis();
        for (bucket, bound) in one.buckets.iter_mut().zip(BUCKETS_MILLIS) {
            if millis <= u128::from(bound) {
                *bucket += 1;
            }
        }
    }

    /// Everything, with the gauges of the moment.
    pub(crate) fn text(&self, gauges: &[Gauge]) -> String {
        let mut text = String::new();
        // Writing into a text cannot fail.
        let _ = self.write(&mut text, gauges);
        text
    }

    fn write(&self, text: &mut String, gauges: &[Gauge]) -> std::fmt::Result {
        for gauge in gauges {
            writeln!(text, "# HELP {} {}", gauge.name, gauge.help)?;
            writeln!(text, "# TYPE {} gauge", gauge.name)?;
            for (labels, value) in &gauge.values {
                writeln!(text, "{}{labels} {value}", gauge.name)?;
            }
        }
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(
            text,
            "# HELP berth_http_requests_total Answers by route and status."
        )?;
        writeln!(text, "# TYPE berth_http_requests_total counter")?;
        for ((method, path), one) in series.iter() {
            for (status, count) in &one.by_status {
                writeln!(
                    text,
                    "berth_http_requests_total{{method=\"{method}\",path=\"{path}\",status=\"{status}\"}} {count}"
                )?;
            }
        }
        writeln!(
            text,
            "# HELP berth_http_request_seconds Time to the answer's head."
        )?;
        writeln!(text, "# TYPE berth_http_request_seconds histogram")?;
        for ((method, path), one) in series.iter() {
            let labels = format!("method=\"{method}\",path=\"{path}\"");
            for (count, bound) in one.buckets.iter().zip(BUCKETS_MILLIS) {
                let le = bound as f64 / 1000.0;
                writeln!(
                    text,
                    "berth_http_request_seconds_bucket{{{labels},le=\"{le}\"}} {count}"
                )?;
            }
            writeln!(
                text,
                "berth_http_request_seconds_bucket{{{labels},le=\"+Inf\"}} {}",
                one.count
            )?;
            writeln!(
                text,
                "berth_http_request_seconds_sum{{{labels}}} {}",
                one.sum_seconds
            )?;
            writeln!(
                text,
                "berth_http_request_seconds_count{{{labels}}} {}",
                one.count
            )?;
        }
        Ok(())
    }
}
