//! The billing ledger: records, the steps between their states, and the close of a month.

mod advance;
mod close;
mod create;
mod list;

pub use advance::{AdvanceError, advance};
pub use close::{CloseError, ClosedMonth, close_month};
pub use create::{CreateBillError, NewBill, create_bill};
pub use list::{BillingPage, list_billing};

pub(crate) use list::page;

use subtle_domain::ports::{StoreError, UnitOfWork};

use crate::actor::Actor;
use crate::admin::{Forbidden, Privileged};
use crate::service_keys::Service;

/// Who may write the ledger: a program whose key has that scope, or an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Biller {
    /// A program.
    Service(Service),
    /// An administrator.
    Admin(Privileged),
}

impl Biller {
    fn actor(&self) -> Actor {
        match self {
            Self::Service(service) => service.into(),
            Self::Admin(admin) => admin.into(),
        }
    }

    /// Whose idempotency keys are theirs.
    fn caller(&self) -> String {
        match self {
            Self::Service(service) => service.caller(),
            Self::Admin(admin) => admin.caller(),
        }
    }

    /// Whether they still may, within a unit of work. A key that was revoked since is not good for a next request.
    async fn confirm(&self, unit: &mut dyn UnitOfWork) -> Result<Result<(), Forbidden>, StoreError> {
        match self {
            Self::Service(_) => Ok(Ok(())),
            Self::Admin(admin) => admin.confirm(unit).await,
        }
    }
}
