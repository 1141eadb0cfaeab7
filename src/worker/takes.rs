//! Prompts that staff have approved meanwhile: new calls say them, without a restart.

use std::sync::Arc;

use tracing::info;

use crate::base::Language;
use crate::prompt::Library;
use crate::store::{Store, StoreError};

/// Makes the library say what is approved now. Costs one look at the store if nothing has changed.
///
/// # Errors
/// If the store is away.
pub(super) async fn refresh(store: &Store, library: &Arc<Library>) -> Result<(), StoreError> {
    let stamp = store.takes_stamp(Language::Ja).await?;
    if stamp == library.takes_stamp() {
        return Ok(());
    }
    let sounds = store.takes_in_use(Language::Ja).await?;
    info!(takes = sounds.len(), "the prompts that staff have recorded are changed");
    let library = Arc::clone(library);
    let using = tokio::task::spawn_blocking(move || library.use_takes(stamp, sounds));
    // It panics for a fault of ours only; then the prompts stay as they were.
    let _ = using.await;
    Ok(())
}
