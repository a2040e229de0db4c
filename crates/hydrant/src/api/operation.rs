//! The operations of `Firehose_20150804`, by the name in `X-Amz-Target`.

use std::fmt;

/// What every `X-Amz-Target` of this API starts with.
pub const TARGET_PREFIX: &str = "Firehose_20150804.";

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// An operation that this node carries out. Real operations of today's API that are not
        /// in this list answer `UnknownOperationException`, as an old endpoint would.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $name,
            )*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Operation] = &[$(Operation::$name),*];

            /// The name on the wire, without prefix.
            pub fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($name),)*
                }
            }

            /// The IAM action, for instance `firehose:PutRecord`.
            pub fn action(self) -> &'static str {
                match self {
                    $(Operation::$name => concat!("firehose:", stringify!($name)),)*
                }
            }
        }
    };
}

operations![
    CreateDeliveryStream,
    DeleteDeliveryStream,
    DescribeDeliveryStream,
    ListDeliveryStreams,
    ListTagsForDeliveryStream,
    PutRecord,
    PutRecordBatch,
    TagDeliveryStream,
    UntagDeliveryStream,
    UpdateDestination,
];

impl Operation {
    /// The operation that the value of `X-Amz-Target` names. Case matters, as it does at AWS.
    pub fn from_target(target: &str) -> Option<Operation> {
        let name = target.strip_prefix(TARGET_PREFIX)?;
        Operation::ALL
            .iter()
            .copied()
            .find(|operation| operation.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for operation in Operation::ALL {
            let target = format!("Firehose_20150804.{operation}");
            assert_eq!(Operation::from_target(&target), Some(*operation));
        }
        for target in [
            "",
            "PutRecord",
            "Firehose_20150804.",
            "Firehose_20150804.putrecord",
            "Firehose_20150804.StartDeliveryStreamEncryption",
            "Kinesis_20131202.PutRecord",
        ] {
            assert_eq!(Operation::from_target(target), None, "{target}");
        }
    }
}
