//! What concerns the node rather than one stream: its log's room and health, and what it answered.

use std::{fmt, sync::Arc};

use hydrant_engine::{Log, Usage};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};

use super::registered;

/// Labels of an answered request. Each has few values, whatever clients send.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabels {
    /// The operation; `unknown` when the request named none.
    pub operation: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The error's name on the wire; empty when there was none.
    pub error: String,
}

/// Requests answered on the API port, refused ones too: where wrong signatures show.
#[derive(Clone, Debug, Default)]
pub struct Answers(Family<AnswerLabels, Counter>);

impl Answers {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "Requests answered, by operation, status and error";
        Answers(registered(registry, "Requests", help, Family::default()))
    }

    /// Counts an answer.
    pub fn count(&self, labels: &AnswerLabels) {
        self.0.get_or_create(labels).inc();
    }
}

/// Asks the log whenever metrics are read.
pub(super) struct LogCollector(pub(super) Arc<dyn Log>);

impl fmt::Debug for LogCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogCollector")
    }
}

impl Collector for LogCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Usage {
            disk_bytes,
            free_bytes,
            damaged_frames,
            writable,
        } = self.0.usage();
        let mut gauges = vec![
            (
                "LogDiskBytes",
                "Bytes that the log takes on disk",
                disk_bytes,
            ),
            (
                "LogDamagedFrames",
                "Frames found damaged since the node started",
                damaged_frames,
            ),
            (
                "LogWritable",
                "1 while records can be acknowledged, 0 after the log's disk failed",
                u64::from(writable),
            ),
        ];
        // A log that does not know how much room it has says so with the largest number.
        if free_bytes != u64::MAX {
            gauges.push((
                "LogFreeBytes",
                "Bytes that the log can still take",
                free_bytes,
            ));
        }
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hydrant_engine::Engine;

    use super::{super::Metrics, *};

    #[test]
    fn the_log_and_answers_are_told() {
        let mut metrics = Metrics::new();
        metrics.observe_log(Engine::mem().log);
        metrics.answers.count(&AnswerLabels {
            operation: "PutRecord",
            status: 400,
            error: "InvalidSignatureException".to_owned(),
        });
        let text = metrics.encode();
        for line in [
            "LogWritable 1",
            "LogDamagedFrames 0",
            "Requests_total{operation=\"PutRecord\",status=\"400\",error=\"InvalidSignatureException\"} 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
