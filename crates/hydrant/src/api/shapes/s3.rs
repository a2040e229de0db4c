//! S3 destinations: plain and extended, to create and to update.
//!
//! The extended shapes begin with the members of the plain ones, and an update has those of its
//! configuration with nothing required; a macro keeps the four from drifting apart.

use super::{
    ARN, CLOUDWATCH_LOGGING, Member, PROCESSING, RETRY_OPTIONS, Structure, Type, limits, m,
    patterns, req,
};

static BUCKET_ARN: Type = Type::text(
    Some(1),
    Some(limits::BUCKET_ARN_CHARS),
    Some(&patterns::ARN),
);
static PREFIX: Type = Type::text(None, Some(limits::PREFIX_CHARS), None);
static SIZE_IN_MBS: Type = Type::integer(
    *limits::BUFFER_SIZE_MBS.start(),
    *limits::BUFFER_SIZE_MBS.end(),
);
static INTERVAL_IN_SECONDS: Type = Type::integer(
    *limits::BUFFER_INTERVAL_SECONDS.start(),
    *limits::BUFFER_INTERVAL_SECONDS.end(),
);
static BUFFERING_HINTS: Type = Type::Structure(&Structure {
    name: "BufferingHints",
    members: &[
        m("SizeInMBs", &SIZE_IN_MBS),
        m("IntervalInSeconds", &INTERVAL_IN_SECONDS),
    ],
});
// In the order in which the service lists them, which is not that of its model.
static COMPRESSION_FORMAT: Type =
    Type::Enum(&["ZIP", "HADOOP_SNAPPY", "Snappy", "GZIP", "UNCOMPRESSED"]);
static ENCRYPTION: Type = Type::Structure(&Structure {
    name: "EncryptionConfiguration",
    members: &[
        m("NoEncryptionConfig", &Type::Enum(&["NoEncryption"])),
        m("KMSEncryptionConfig", &KMS_ENCRYPTION),
    ],
});
static KMS_ENCRYPTION: Type = Type::Structure(&Structure {
    name: "KMSEncryptionConfig",
    members: &[req("AWSKMSKeyARN", &ARN)],
});
static BACKUP_MODE: Type = Type::Enum(&["Disabled", "Enabled"]);
static DATA_FORMAT_CONVERSION: Type = Type::Structure(&Structure {
    name: "DataFormatConversionConfiguration",
    members: &[
        m("SchemaConfiguration", &Type::Refused),
        m("InputFormatConfiguration", &Type::Refused),
        m("OutputFormatConfiguration", &Type::Refused),
        m("Enabled", &Type::Boolean),
    ],
});
static DYNAMIC_PARTITIONING: Type = Type::Structure(&Structure {
    name: "DynamicPartitioningConfiguration",
    members: &[
        m("RetryOptions", &RETRY_OPTIONS),
        m("Enabled", &Type::Boolean),
    ],
});
static FILE_EXTENSION: Type = Type::text(None, Some(128), Some(&patterns::FILE_EXTENSION));
static TIME_ZONE: Type = Type::text(None, Some(50), Some(&patterns::TIME_ZONE));

macro_rules! plain {
    ($arn:ident $(, $more:expr)*) => {
        &[
            $arn("RoleARN", &ARN),
            $arn("BucketARN", &BUCKET_ARN),
            m("Prefix", &PREFIX),
            m("ErrorOutputPrefix", &PREFIX),
            m("BufferingHints", &BUFFERING_HINTS),
            m("CompressionFormat", &COMPRESSION_FORMAT),
            m("EncryptionConfiguration", &ENCRYPTION),
            m("CloudWatchLoggingOptions", &CLOUDWATCH_LOGGING),
            $($more),*
        ]
    };
}

macro_rules! extended {
    ($arn:ident, $backup:expr) => {
        plain!(
            $arn,
            m("ProcessingConfiguration", &PROCESSING),
            m("S3BackupMode", &BACKUP_MODE),
            $backup,
            m("DataFormatConversionConfiguration", &DATA_FORMAT_CONVERSION),
            m("DynamicPartitioningConfiguration", &DYNAMIC_PARTITIONING),
            m("FileExtension", &FILE_EXTENSION),
            m("CustomTimeZone", &TIME_ZONE)
        )
    };
}

/// `S3DestinationConfiguration`.
pub static S3_CONFIGURATION: Structure = Structure {
    name: "S3DestinationConfiguration",
    members: plain!(req),
};

/// `S3DestinationUpdate`.
pub static S3_UPDATE: Structure = Structure {
    name: "S3DestinationUpdate",
    members: plain!(m),
};

/// `ExtendedS3DestinationConfiguration`.
pub static EXTENDED_S3_CONFIGURATION: Structure = Structure {
    name: "ExtendedS3DestinationConfiguration",
    members: extended!(
        req,
        Member::optional("S3BackupConfiguration", &Type::Structure(&S3_CONFIGURATION))
    ),
};

/// `ExtendedS3DestinationUpdate`.
pub static EXTENDED_S3_UPDATE: Structure = Structure {
    name: "ExtendedS3DestinationUpdate",
    members: extended!(
        m,
        Member::optional("S3BackupUpdate", &Type::Structure(&S3_UPDATE))
    ),
};
