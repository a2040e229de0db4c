//! What a load is to do, before the database is asked: the COPY command as written, and the bucket's files that it means.

use hydrant_copy::{
    CopyOptions, Format, JsonFormat, OptionsErrorKind, Transform,
    jsonpaths::JsonPaths,
    manifest::S3Url,
    table::{ColumnList, NameError, TableName},
    transform::TransformError,
};

use super::{ledger::Claim, source::Source, target::Target};
use crate::{
    destination::DeliveryError,
    warehouse::{Load, errors::Code},
};

/// A load's every setting.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) table: TableName,
    pub(super) columns: ColumnList,
    pub(super) options: CopyOptions,
    pub(super) json_paths: Option<JsonPaths>,
    pub(super) objects: Vec<S3Url>,
    stream: String,
    manifest: String,
}

impl Plan {
    /// Reads the command and the files.
    pub(super) async fn read(source: Source<'_>, load: &Load) -> Result<Self, DeliveryError> {
        let command = &load.warehouse.copy;
        let named = |error: NameError| Code::SyntaxError.refused(error);
        let text = command.options.as_deref().unwrap_or_default();
        let options = CopyOptions::parse(text).map_err(|error| match error.kind {
            OptionsErrorKind::Syntax => Code::SyntaxError.refused(error),
            OptionsErrorKind::Incorrect => Code::IncorrectCopyOptions.refused(error),
        })?;
        let json_paths = match &options.format {
            Format::Json(JsonFormat::Paths(url)) => Some(source.json_paths(url).await?),
            _ => None,
        };
        let entries = source.manifest(&load.manifest).await?;
        Ok(Plan {
            table: TableName::parse(&command.table).map_err(named)?,
            columns: ColumnList::parse(command.columns.as_deref().unwrap_or_default())
                .map_err(named)?,
            options,
            json_paths,
            objects: source.present(entries).await?,
            stream: load.stream.to_string(),
            manifest: format!("s3://{}/{}", load.leg.bucket(), load.manifest),
        })
    }

    /// Whose the objects become.
    pub(super) fn claim<'a>(&'a self, target: &'a Target) -> Claim<'a> {
        Claim {
            manifest: &self.manifest,
            stream: &self.stream,
            table: &target.quoted,
        }
    }

    /// What turns a file into rows of `target`.
    pub(super) fn transform(&self, target: &Target) -> Result<Transform, DeliveryError> {
        let columns = target.columns.clone();
        Transform::new(&self.options, columns, self.json_paths.clone()).map_err(|error| match error
        {
            TransformError::ColumnMismatch { .. } => Code::ColumnMismatch.refused(error),
            TransformError::NotOneColumn(_) => Code::IncorrectCopyOptions.refused(error),
            TransformError::NoPaths => Code::IncorrectJsonPathsFile.refused(error),
        })
    }
}
