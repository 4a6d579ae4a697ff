//! Files in multipart forms. A file is written to an unnamed temporary file as it arrives, so its
//! size costs no memory, and nothing of it is left when the request ends, however it ends.

use std::io::{Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use ingot_http::{ApiError, Code};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Uploads of one process at the same time; each may take its whole limit of disk space.
const MAX_UPLOADS: usize = 16;

/// Longest silence of a client in the middle of a file.
const PATIENCE: Duration = Duration::from_mins(1);

/// Longest text of a field that is no file, in bytes.
const MAX_FIELD: usize = 8 * 1024;

/// Most fields that are no files.
const MAX_FIELDS: usize = 32;

/// Name of the field with the file (contract, database §1.5).
const FILE_FIELD: &str = "file";

ingot_config::settings! {
    /// Files that are sent for import and bulk upsert.
    pub struct UploadSettings {
        /// Largest dump or file of rows. It is held on disk while it is read, not in memory.
        max_size: ingot_config::ByteSize = "INGOT_MAX_IMPORT_SIZE", default "2gb";
        /// Folder for files that are being read; unset means the system's temporary folder.
        folder: Option<PathBuf> = "INGOT_UPLOAD_DIR";
    }
}

/// Where uploads go, and how many at a time. Clones share the bound.
#[derive(Debug, Clone)]
pub(crate) struct Uploads {
    settings: UploadSettings,
    permits: Arc<Semaphore>,
}

impl Uploads {
    /// No upload is under way yet.
    pub(crate) fn new(settings: UploadSettings) -> Self {
        Self {
            settings,
            permits: Arc::new(Semaphore::new(MAX_UPLOADS)),
        }
    }

    /// Reads the form of a request. A request that has none is like an empty form.
    pub(super) async fn read(&self, request: Request) -> Result<Upload, ApiError> {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            return Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                Code::TooManyRequests,
                "Too many files are being uploaded to this server",
            )
            .with_hint("Send files one after the other")
            .with_retry_after(5));
        };
        let mut upload = Upload {
            file: None,
            fields: Vec::new(),
            _permit: permit,
        };
        let Ok(mut form) = Multipart::from_request(request, &()).await else {
            return Ok(upload);
        };
        while let Some(field) = patiently(form.next_field()).await? {
            if field.file_name().is_some() {
                upload.take_file(field, &self.settings).await?;
            } else {
                upload.take_text(field).await?;
            }
        }
        Ok(upload)
    }
}

/// A file that arrived.
#[derive(Debug)]
pub(super) struct UploadedFile {
    /// As the client names it.
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    content: std::fs::File,
}

impl UploadedFile {
    /// The content, from its beginning.
    pub(super) fn into_content(self) -> std::fs::File {
        self.content
    }

    /// Whether the name ends with one of `extensions` (with their dots), in any case.
    pub(super) fn has_extension(&self, extensions: &[&str]) -> bool {
        let name = self.name.to_ascii_lowercase();
        extensions.iter().any(|extension| name.ends_with(extension))
    }
}

/// A form that may have a file.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) file: Option<UploadedFile>,
    fields: Vec<(String, String)>,
    /// Held until the form is dropped.
    _permit: OwnedSemaphorePermit,
}

impl Upload {
    /// Value of a field that is no file; of several the last one.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    async fn take_file(
        &mut self,
        mut field: Field<'_>,
        settings: &UploadSettings,
    ) -> Result<(), ApiError> {
        if field.name() != Some(FILE_FIELD) || self.file.is_some() {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                Code::StorageInvalidParameter,
                "The form may have one file, in the field `file`",
            )
            .with_hint("Send the file in the field `file`"));
        }
        let name = field.file_name().unwrap_or_default().to_owned();
        let content = match &settings.folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let content = content.map_err(|error| ApiError::internal(&error))?;
        let mut writer = tokio::fs::File::from_std(content);
        let mut size = 0;
        while let Some(chunk) = patiently(field.chunk()).await? {
            size += chunk.len() as u64;
            if size > settings.max_size.0 {
                return Err(too_large(settings.max_size.0));
            }
            let written = writer.write_all(&chunk).await;
            written.map_err(|error| ApiError::internal(&error))?;
        }
        let flushed = writer.flush().await;
        flushed.map_err(|error| ApiError::internal(&error))?;
        let mut content = writer.into_std().await;
        content
            .seek(SeekFrom::Start(0))
            .map_err(|error| ApiError::internal(&error))?;
        self.file = Some(UploadedFile {
            name,
            size,
            content,
        });
        Ok(())
    }

    async fn take_text(&mut self, mut field: Field<'_>) -> Result<(), ApiError> {
        let name = field.name().unwrap_or_default().to_owned();
        let mut value = Vec::new();
        while let Some(chunk) = patiently(field.chunk()).await? {
            if value.len() + chunk.len() > MAX_FIELD {
                return Err(ApiError::invalid_input(format!(
                    "{name}: the field is too long"
                )));
            }
            value.extend_from_slice(&chunk);
        }
        if self.fields.len() == MAX_FIELDS {
            return Err(ApiError::invalid_input("The form has too many fields"));
        }
        let value = String::from_utf8(value)
            .map_err(|_| ApiError::invalid_input(format!("{name}: the field is not UTF-8")))?;
        self.fields.push((name, value));
        Ok(())
    }
}

/// The contract's answer to a file over the limit (database §1.2).
fn too_large(limit: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::StorageInvalidParameter,
        format!("The file is larger than {limit} bytes"),
    )
    .with_hint("Split the file, or raise INGOT_MAX_IMPORT_SIZE")
}

/// What a client sends next, if it sends it soon enough and well formed.
async fn patiently<T>(
    next: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, ApiError> {
    match timeout(PATIENCE, next).await {
        Ok(Ok(next)) => Ok(next),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a form could not be read");
            Err(
                ApiError::invalid_input("The multipart form could not be read")
                    .with_hint("Send a complete multipart/form-data body with its boundary"),
            )
        }
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::InvalidInput,
            "The upload stood still for too long",
        )
        .with_hint("Send the file again")),
    }
}
