//! The hand-off of a sign-in from one app to another.

mod issue;
mod redeem;

pub use issue::{IssueBridge, IssueBridgeError, Issued, issue_bridge};
pub use redeem::{HandedOver, RedeemBridge, RedeemBridgeError, redeem_bridge};
