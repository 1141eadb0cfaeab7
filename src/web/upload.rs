//! Forms that bring a file: who sent it, what was filled in, and the file.

use std::collections::HashMap;

use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use bytes::Bytes;

use crate::base::Bilingual;
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::fault::Fault;

/// A form with a file that a page of ours sent. How much it may hold is said by the route.
#[derive(Debug)]
pub struct Upload {
    /// Who sent it.
    pub viewer: Viewer,
    /// What was filled in, by the names of the fields.
    texts: HashMap<String, String>,
    /// The file, unless none was chosen.
    pub file: Option<File>,
}

/// A file as a browser sends it.
#[derive(Debug)]
pub struct File {
    /// Its name, without any folder.
    pub name: String,
    /// What is in it.
    pub content: Bytes,
}

impl File {
    /// What its name ends with, in lower case; empty if it has no ending.
    pub fn extension(&self) -> String {
        self.name.rsplit_once('.').map(|(_, end)| end.to_lowercase()).unwrap_or_default()
    }
}

impl Upload {
    /// What was filled in; empty if nothing was.
    pub fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }
}

/// No form of ours has more fields.
const MOST_FIELDS: usize = 32;

impl FromRequest<Desk> for Upload {
    type Rejection = Fault;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, desk).await?;
        let mut form = Multipart::from_request(Request::from_parts(parts, body), desk)
            .await
            .map_err(|_| Fault::Forbidden)?;
        let mut upload = Self { viewer, texts: HashMap::new(), file: None };
        for _ in 0..MOST_FIELDS {
            let Some(field) = form.next_field().await.map_err(|_| too_large())? else { break };
            let name = field.name().unwrap_or_default().to_owned();
            if let Some(file) = field.file_name().map(str::to_owned) {
                let content = field.bytes().await.map_err(|_| too_large())?;
                if !content.is_empty() {
                    upload.file = Some(File { name: file_name(&file), content });
                }
            } else {
                let text = field.text().await.map_err(|_| too_large())?;
                upload.texts.insert(name, text);
            }
        }
        if upload.text("csrf") != upload.viewer.csrf.expose() {
            return Err(Fault::Forbidden);
        }
        Ok(upload)
    }
}

/// Some browsers send the folders, too; a name is shown, never opened.
fn file_name(sent: &str) -> String {
    let name = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars().filter(|char| !char.is_control()).take(80).collect()
}

fn too_large() -> Fault {
    Fault::Invalid(Bilingual::fixed(
        "ファイルが大きすぎるか、送信が途中で切れました。",
        "The file is too large, or the connection broke off.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_name_and_no_folder() {
        for (sent, expected) in [
            ("list.csv", "list.csv"),
            ("C:\\Users\\x\\患者.csv", "患者.csv"),
            ("../../etc/passwd", "passwd"),
            ("a\u{0}b.WAV", "ab.WAV"),
        ] {
            assert_eq!(file_name(sent), expected);
        }
        let file = File { name: "a.b.WAV".to_owned(), content: Bytes::new() };
        assert_eq!(file.extension(), "wav");
    }
}
