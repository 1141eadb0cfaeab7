//! Cookies and the secrets in them.

use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

use axum::http::HeaderMap;

use crate::registry::audit::hex;

/// The session. `__Host-` binds it to this host, this path and a secure transport (RFC 6265bis
/// §4.1.3.2).
pub(super) const SESSION: &str = "__Host-mimamori";

/// A word that the next page shows once.
pub(super) const FLASH: &str = "__Host-flash";

/// What comes back from an identity provider is compared with this. That is a navigation from
/// another site, so the cookie has to be lax; it lives for minutes, and is sealed.
pub(super) const PROVIDER: &str = "__Host-mimamori-oidc";

/// A cookie that scripts cannot read and other sites cannot send.
pub(super) fn hardened(name: &'static str, value: String) -> Cookie<'static> {
    let mut cookie = Cookie::new(name, value);
    cookie.set_secure(true);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Strict);
    cookie.set_path("/");
    cookie
}

/// Takes a cookie away.
pub(super) fn removed(name: &'static str) -> Cookie<'static> {
    let mut cookie = hardened(name, String::new());
    cookie.make_removal();
    cookie
}

/// The word of the page before.
pub(super) fn flash(jar: &CookieJar) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(jar.get(FLASH)?.value()).ok()?;
    String::from_utf8(bytes).ok()
}

/// A word for the next page.
pub(super) fn with_flash(text: &str) -> Cookie<'static> {
    hardened(FLASH, BASE64_URL_SAFE_NO_PAD.encode(text))
}

/// Takes the word of the page before away, once it was shown.
pub(in crate::web) fn forget_flash(request: &HeaderMap) -> Option<Cookie<'static>> {
    CookieJar::from_headers(request).get(FLASH)?;
    Some(removed(FLASH))
}

/// What names a secret in the store: the secret itself is kept nowhere.
pub(in crate::web) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// 256 bits that nobody can guess.
///
/// # Errors
/// If the system gives no random numbers.
pub(in crate::web) fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether two secrets are the same. Their hashes are compared, so that the time tells nothing.
pub(in crate::web) fn is_same(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()) == Sha256::digest(other.as_bytes())
}
