//! Who is there, and how somebody proves it: sessions of browsers, passwords with a second factor,
//! an identity provider, tokens for programs.
//!
//! ```text
//! /login ─► password ─► session (second factor missing) ─► code ─► session ─► Viewer
//!    │                        │ none set up yet: set up ───────────────▲
//!    └─► identity provider ───┘ or, if it says that it asked for one ──┘
//! ```
//!
//! Every refusal is the same text after the same time, so that nobody learns who has an account.
//! A try is counted before it is looked at; five wrong ones lock the account for a while.

pub mod client;
pub(super) mod cookie;
pub mod gate;
pub mod oidc;
pub mod password;
pub mod seal;
pub mod second_factor;
mod sign_in;
mod viewer;

use std::sync::Arc;

use anyhow::Context;
use axum::Router;

pub use client::Client;
pub(super) use sign_in::{
    confirm, is_owner, recovery_page, refused_text, renew, second_factor_form,
};
pub(super) use viewer::is_over;
pub use viewer::{Address, Nothing, Posted, Sender, Viewer, done};

use crate::base::Private;
use crate::base::id::StaffId;
use crate::store::Account;
use crate::web::Desk;
use crate::web::auth::gate::Gate;
use crate::web::auth::oidc::Provider;
use crate::web::auth::seal::Seal;
use crate::web::auth::second_factor::Secret;

/// Whether a second factor is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SecondFactor {
    /// From everybody: whoever has none sets it up before anything else.
    Required,
    /// From those who have set it up.
    Optional,
}

/// What stands before every page: made once per router, handed on as an extension.
#[derive(Debug)]
pub struct Door {
    pub(super) gate: Gate,
    seal: Option<Seals>,
    pub(super) provider: Option<Provider>,
}

#[derive(Debug)]
struct Seals {
    totp: Seal,
    provider: Seal,
}

impl Door {
    /// The door of a desk.
    pub fn new(desk: &Desk) -> Arc<Self> {
        let seal = desk.config.key.as_ref().map(|key| Seals {
            totp: Seal::new(key, "mimamori totp"),
            provider: Seal::new(key, "mimamori oidc"),
        });
        Arc::new(Self {
            gate: Gate::new(&desk.clock),
            seal,
            provider: desk.config.oidc.clone().map(Provider::new),
        })
    }

    fn seals(&self) -> anyhow::Result<&Seals> {
        self.seal.as_ref().context("there is no key to seal with ([web] key)")
    }

    /// The secret of the second factor that is in use.
    pub(super) fn secret(&self, account: &Account) -> anyhow::Result<Option<Secret>> {
        self.open(account.staff.id, account.totp_secret.as_ref())
    }

    /// The secret of the second factor that is being set up.
    pub(super) fn proposed(&self, account: &Account) -> anyhow::Result<Option<Secret>> {
        self.open(account.staff.id, account.totp_pending.as_ref())
    }

    fn open(
        &self,
        id: StaffId,
        sealed: Option<&Private<String>>,
    ) -> anyhow::Result<Option<Secret>> {
        let Some(sealed) = sealed else { return Ok(None) };
        let bytes = self.seals()?.totp.open(sealed.expose(), &id.to_string())?;
        Ok(Some(Secret::from_bytes(bytes)))
    }

    /// The secret as it may be kept.
    pub(super) fn seal(&self, id: StaffId, secret: &Secret) -> anyhow::Result<Private<String>> {
        self.seals()?.totp.seal(secret.bytes(), &id.to_string())
    }
}

pub(super) fn routes() -> Router<Desk> {
    sign_in::routes().merge(oidc::routes())
}
