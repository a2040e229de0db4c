//! Redshift destinations, to create and to update.
//!
//! `Username` and `Password` were required in 2015; today a secret of Secrets Manager may stand for
//! both, so that they are not required by the shape but by meaning.

use super::{
    ARN, CLOUDWATCH_LOGGING, PROCESSING, RETRY_OPTIONS, S3_CONFIGURATION, S3_UPDATE, Structure,
    Type, m, patterns, req,
};

static JDBC_URL: Type = Type::text(Some(1), Some(512), Some(&patterns::JDBC_URL));
static USERNAME: Type = Type::sensitive(1, 512);
static PASSWORD: Type = Type::sensitive(6, 512);
static TABLE_NAME: Type = Type::text(Some(1), Some(512), None);
static TABLE_COLUMNS: Type = Type::text(None, Some(10_240), None);
static COPY_OPTIONS: Type = Type::text(None, Some(10_240), None);
static COPY_COMMAND: Type = Type::Structure(&Structure {
    name: "CopyCommand",
    members: &[
        req("DataTableName", &TABLE_NAME),
        m("DataTableColumns", &TABLE_COLUMNS),
        m("CopyOptions", &COPY_OPTIONS),
    ],
});
static BACKUP_MODE: Type = Type::Enum(&["Disabled", "Enabled"]);
static SECRETS_MANAGER: Type = Type::Structure(&Structure {
    name: "SecretsManagerConfiguration",
    members: &[
        m("SecretARN", &SECRET_ARN),
        m("RoleARN", &ARN),
        req("Enabled", &Type::Boolean),
    ],
});
static SECRET_ARN: Type = Type::text(Some(1), Some(2048), Some(&patterns::ARN));

/// `RedshiftDestinationConfiguration`.
pub static REDSHIFT_CONFIGURATION: Structure = Structure {
    name: "RedshiftDestinationConfiguration",
    members: &[
        req("RoleARN", &ARN),
        req("ClusterJDBCURL", &JDBC_URL),
        req("CopyCommand", &COPY_COMMAND),
        m("Username", &USERNAME),
        m("Password", &PASSWORD),
        m("RetryOptions", &RETRY_OPTIONS),
        req("S3Configuration", &Type::Structure(&S3_CONFIGURATION)),
        m("ProcessingConfiguration", &PROCESSING),
        m("S3BackupMode", &BACKUP_MODE),
        m("S3BackupConfiguration", &Type::Structure(&S3_CONFIGURATION)),
        m("CloudWatchLoggingOptions", &CLOUDWATCH_LOGGING),
        m("SecretsManagerConfiguration", &SECRETS_MANAGER),
    ],
};

/// `RedshiftDestinationUpdate`.
pub static REDSHIFT_UPDATE: Structure = Structure {
    name: "RedshiftDestinationUpdate",
    members: &[
        m("RoleARN", &ARN),
        m("ClusterJDBCURL", &JDBC_URL),
        m("CopyCommand", &COPY_COMMAND),
        m("Username", &USERNAME),
        m("Password", &PASSWORD),
        m("RetryOptions", &RETRY_OPTIONS),
        m("S3Update", &Type::Structure(&S3_UPDATE)),
        m("ProcessingConfiguration", &PROCESSING),
        m("S3BackupMode", &BACKUP_MODE),
        m("S3BackupUpdate", &Type::Structure(&S3_UPDATE)),
        m("CloudWatchLoggingOptions", &CLOUDWATCH_LOGGING),
        m("SecretsManagerConfiguration", &SECRETS_MANAGER),
    ],
};
