//! The request shapes of the operations: today's members, with the constraints of 2015
//! loosened wherever today's are looser (SPEC §2.0), so that clients of either time are understood.
//!
//! Members that this node does not act on are here too, so that a wrong type is reported as AWS
//! would and an operation can name what it refuses: whole destinations and sources that are not
//! supported are [`Type::Refused`], of which only the presence is kept.

mod redshift;
mod s3;

pub use self::{
    redshift::{REDSHIFT_CONFIGURATION, REDSHIFT_UPDATE},
    s3::{EXTENDED_S3_CONFIGURATION, EXTENDED_S3_UPDATE, S3_CONFIGURATION, S3_UPDATE},
};
use super::{
    limits,
    operation::Operation,
    shape::{Member, Structure, Type, patterns},
};

const fn m(name: &'static str, kind: &'static Type) -> Member {
    Member::optional(name, kind)
}

const fn req(name: &'static str, kind: &'static Type) -> Member {
    Member::required(name, kind)
}

static STREAM_NAME: Type = Type::text(
    Some(1),
    Some(limits::STREAM_NAME_CHARS),
    Some(&patterns::STREAM_NAME),
);
static ARN: Type = Type::text(Some(1), Some(limits::ARN_CHARS), Some(&patterns::ARN));
static VERSION_ID: Type = Type::text(
    Some(1),
    Some(limits::VERSION_ID_CHARS),
    Some(&patterns::VERSION_ID),
);
static DESTINATION_ID: Type = Type::text(Some(1), Some(limits::DESTINATION_ID_CHARS), None);
static PAGE_SIZE: Type = Type::integer(*limits::PAGE_SIZE.start(), *limits::PAGE_SIZE.end());
static STREAM_TYPE: Type = Type::Enum(&[
    "DirectPut",
    "KinesisStreamAsSource",
    "MSKAsSource",
    "DatabaseAsSource",
]);
static RETRY_SECONDS: Type = Type::integer(0, 7200);
static RETRY_OPTIONS: Type = Type::Structure(&Structure {
    name: "RetryOptions",
    members: &[m("DurationInSeconds", &RETRY_SECONDS)],
});
static CLOUDWATCH_LOGGING: Type = Type::Structure(&Structure {
    name: "CloudWatchLoggingOptions",
    members: &[
        m("Enabled", &Type::Boolean),
        m("LogGroupName", &LOG_GROUP),
        m("LogStreamName", &LOG_STREAM),
    ],
});
static LOG_GROUP: Type = Type::text(None, Some(512), Some(&patterns::LOG_GROUP));
static LOG_STREAM: Type = Type::text(None, Some(512), Some(&patterns::LOG_STREAM));

static PROCESSING: Type = Type::Structure(&Structure {
    name: "ProcessingConfiguration",
    members: &[m("Enabled", &Type::Boolean), m("Processors", &PROCESSORS)],
});
static PROCESSORS: Type = Type::List {
    element: &Type::Structure(&Structure {
        name: "Processor",
        members: &[
            req("Type", &PROCESSOR_TYPE),
            m("Parameters", &PROCESSOR_PARAMETERS),
        ],
    }),
    min: None,
    max: limits::PROCESSORS,
};
static PROCESSOR_TYPE: Type = Type::Enum(&[
    "RecordDeAggregation",
    "Decompression",
    "CloudWatchLogProcessing",
    "Lambda",
    "MetadataExtraction",
    "AppendDelimiterToRecord",
]);
static PROCESSOR_PARAMETERS: Type = Type::List {
    element: &Type::Structure(&Structure {
        name: "ProcessorParameter",
        members: &[
            req("ParameterName", &PROCESSOR_PARAMETER_NAME),
            req("ParameterValue", &PROCESSOR_PARAMETER_VALUE),
        ],
    }),
    min: None,
    max: limits::PROCESSORS,
};
static PROCESSOR_PARAMETER_NAME: Type = Type::Enum(&[
    "LambdaArn",
    "NumberOfRetries",
    "MetadataExtractionQuery",
    "JsonParsingEngine",
    "RoleArn",
    "BufferSizeInMBs",
    "BufferIntervalInSeconds",
    "SubRecordType",
    "Delimiter",
    "CompressionFormat",
    "DataMessageExtraction",
]);
static PROCESSOR_PARAMETER_VALUE: Type =
    Type::text(Some(1), Some(5120), Some(&patterns::NOT_BLANK));

static DIRECT_PUT_SOURCE: Type = Type::Structure(&Structure {
    name: "DirectPutSourceConfiguration",
    members: &[req("ThroughputHintInMBs", &THROUGHPUT_HINT)],
});
static THROUGHPUT_HINT: Type = Type::integer(1, 100);
static KINESIS_SOURCE: Type = Type::Structure(&Structure {
    name: "KinesisStreamSourceConfiguration",
    members: &[req("KinesisStreamARN", &ARN), req("RoleARN", &ARN)],
});
static ENCRYPTION_INPUT: Type = Type::Structure(&Structure {
    name: "DeliveryStreamEncryptionConfigurationInput",
    members: &[m("KeyARN", &ARN), req("KeyType", &KEY_TYPE)],
});
static KEY_TYPE: Type = Type::Enum(&["AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK"]);
static TAGS: Type = Type::List {
    element: &Type::Structure(&Structure {
        name: "Tag",
        members: &[req("Key", &TAG_KEY), m("Value", &TAG_VALUE)],
    }),
    min: Some(1),
    max: limits::TAGS as u64,
};
static TAG_KEYS: Type = Type::List {
    element: &TAG_KEY,
    min: Some(1),
    max: limits::TAGS as u64,
};
static TAGS_PAGE: Type = Type::integer(1, limits::TAGS as i64);
static TAG_KEY: Type = Type::text(Some(1), Some(128), Some(&patterns::TAG_KEY));
static TAG_VALUE: Type = Type::text(None, Some(256), Some(&patterns::TAG_VALUE));

/// `CreateDeliveryStream`.
pub static CREATE_DELIVERY_STREAM: Structure = Structure {
    name: "CreateDeliveryStreamInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        m("DeliveryStreamType", &STREAM_TYPE),
        m("DirectPutSourceConfiguration", &DIRECT_PUT_SOURCE),
        m("KinesisStreamSourceConfiguration", &KINESIS_SOURCE),
        m(
            "DeliveryStreamEncryptionConfigurationInput",
            &ENCRYPTION_INPUT,
        ),
        m(
            "S3DestinationConfiguration",
            &Type::Structure(&S3_CONFIGURATION),
        ),
        m(
            "ExtendedS3DestinationConfiguration",
            &Type::Structure(&EXTENDED_S3_CONFIGURATION),
        ),
        m(
            "RedshiftDestinationConfiguration",
            &Type::Structure(&REDSHIFT_CONFIGURATION),
        ),
        m("ElasticsearchDestinationConfiguration", &Type::Refused),
        m(
            "AmazonopensearchserviceDestinationConfiguration",
            &Type::Refused,
        ),
        m("SplunkDestinationConfiguration", &Type::Refused),
        m("HttpEndpointDestinationConfiguration", &Type::Refused),
        m("Tags", &TAGS),
        m(
            "AmazonOpenSearchServerlessDestinationConfiguration",
            &Type::Refused,
        ),
        m("MSKSourceConfiguration", &Type::Refused),
        m("SnowflakeDestinationConfiguration", &Type::Refused),
        m("IcebergDestinationConfiguration", &Type::Refused),
        m("DatabaseSourceConfiguration", &Type::Refused),
    ],
};

/// `DeleteDeliveryStream`.
pub static DELETE_DELIVERY_STREAM: Structure = Structure {
    name: "DeleteDeliveryStreamInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        m("AllowForceDelete", &Type::Boolean),
    ],
};

/// `DescribeDeliveryStream`.
pub static DESCRIBE_DELIVERY_STREAM: Structure = Structure {
    name: "DescribeDeliveryStreamInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        m("Limit", &PAGE_SIZE),
        m("ExclusiveStartDestinationId", &DESTINATION_ID),
    ],
};

/// `ListDeliveryStreams`.
pub static LIST_DELIVERY_STREAMS: Structure = Structure {
    name: "ListDeliveryStreamsInput",
    members: &[
        m("Limit", &PAGE_SIZE),
        m("DeliveryStreamType", &STREAM_TYPE),
        m("ExclusiveStartDeliveryStreamName", &STREAM_NAME),
    ],
};

/// `ListTagsForDeliveryStream`.
pub static LIST_TAGS_FOR_DELIVERY_STREAM: Structure = Structure {
    name: "ListTagsForDeliveryStreamInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        m("ExclusiveStartTagKey", &TAG_KEY),
        m("Limit", &TAGS_PAGE),
    ],
};

/// `TagDeliveryStream`.
pub static TAG_DELIVERY_STREAM: Structure = Structure {
    name: "TagDeliveryStreamInput",
    members: &[req("DeliveryStreamName", &STREAM_NAME), req("Tags", &TAGS)],
};

/// `UntagDeliveryStream`.
pub static UNTAG_DELIVERY_STREAM: Structure = Structure {
    name: "UntagDeliveryStreamInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        req("TagKeys", &TAG_KEYS),
    ],
};

static RECORD: Type = Type::Structure(&Structure {
    name: "Record",
    members: &[req("Data", &DATA)],
});
static DATA: Type = Type::Blob {
    max: limits::RECORD_BYTES as u64,
};
static RECORDS: Type = Type::List {
    element: &RECORD,
    min: Some(1),
    max: limits::BATCH_RECORDS as u64,
};

/// `PutRecord`.
pub static PUT_RECORD: Structure = Structure {
    name: "PutRecordInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        req("Record", &RECORD),
    ],
};

/// `PutRecordBatch`.
pub static PUT_RECORD_BATCH: Structure = Structure {
    name: "PutRecordBatchInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        req("Records", &RECORDS),
    ],
};

/// `UpdateDestination`.
pub static UPDATE_DESTINATION: Structure = Structure {
    name: "UpdateDestinationInput",
    members: &[
        req("DeliveryStreamName", &STREAM_NAME),
        req("CurrentDeliveryStreamVersionId", &VERSION_ID),
        req("DestinationId", &DESTINATION_ID),
        m("S3DestinationUpdate", &Type::Structure(&S3_UPDATE)),
        m(
            "ExtendedS3DestinationUpdate",
            &Type::Structure(&EXTENDED_S3_UPDATE),
        ),
        m(
            "RedshiftDestinationUpdate",
            &Type::Structure(&REDSHIFT_UPDATE),
        ),
        m("ElasticsearchDestinationUpdate", &Type::Refused),
        m("AmazonopensearchserviceDestinationUpdate", &Type::Refused),
        m("SplunkDestinationUpdate", &Type::Refused),
        m("HttpEndpointDestinationUpdate", &Type::Refused),
        m(
            "AmazonOpenSearchServerlessDestinationUpdate",
            &Type::Refused,
        ),
        m("SnowflakeDestinationUpdate", &Type::Refused),
        m("IcebergDestinationUpdate", &Type::Refused),
    ],
};

/// The request shape of an operation.
pub fn of(operation: Operation) -> &'static Structure {
    match operation {
        Operation::CreateDeliveryStream => &CREATE_DELIVERY_STREAM,
        Operation::DeleteDeliveryStream => &DELETE_DELIVERY_STREAM,
        Operation::DescribeDeliveryStream => &DESCRIBE_DELIVERY_STREAM,
        Operation::ListDeliveryStreams => &LIST_DELIVERY_STREAMS,
        Operation::ListTagsForDeliveryStream => &LIST_TAGS_FOR_DELIVERY_STREAM,
        Operation::TagDeliveryStream => &TAG_DELIVERY_STREAM,
        Operation::UntagDeliveryStream => &UNTAG_DELIVERY_STREAM,
        Operation::PutRecord => &PUT_RECORD,
        Operation::PutRecordBatch => &PUT_RECORD_BATCH,
        Operation::UpdateDestination => &UPDATE_DESTINATION,
    }
}

#[cfg(test)]
mod tests;
