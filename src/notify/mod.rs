//! Messages that leave the house: signed webhooks.
